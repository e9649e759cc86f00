// An authorization server (npm's oidc-provider) that stands in for Google, Microsoft and a self-hosted service.
// Arguments: port (https), plain port (http: introspection for Dovecot, and /_control), certificate and key files,
// and the file in which what was given out is kept from one start to the next (written by /_control?save=1).
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { Provider } from 'oidc-provider';

const [port, plainPort, certificate, key, store] = process.argv.slice(2);
const GOOGLE = ['https://mail.google.com/', 'https://www.googleapis.com/auth/userinfo.email'];
const MICROSOFT = ['https://outlook.office.com/IMAP.AccessAsUser.All', 'https://outlook.office.com/SMTP.Send',
  'https://outlook.office365.com/.default'];
const state = { ttl: 3600, down: false, narrow: false, grants: {} };

// What was given out, as the provider's own example adapter keeps it, but for the file.
const kept = new Map(fs.existsSync(store) ? JSON.parse(fs.readFileSync(store, 'utf8')) : []);
const keptFor = (path) => class {
  constructor(name) { this.prefix = `${path} ${name}:`; }
  entry(id) {
    const found = kept.get(this.prefix + id);
    return found && (!found.until || found.until > Date.now()) ? found.payload : undefined;
  }
  async upsert(id, payload, seconds) {
    kept.set(this.prefix + id, { payload, until: seconds ? Date.now() + seconds * 1000 : 0 });
  }
  async find(id) { return this.entry(id); }
  async findBy(field, value) {
    for (const [id, { payload }] of kept) {
      if (id.startsWith(this.prefix) && payload[field] === value) return this.entry(id.slice(this.prefix.length));
    }
    return undefined;
  }
  async findByUid(uid) { return this.findBy('uid', uid); }
  async findByUserCode(code) { return this.findBy('userCode', code); }
  async consume(id) { this.entry(id).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { kept.delete(this.prefix + id); }
  async revokeByGrantId(grantId) {
    for (const [id, { payload }] of kept) {
      if (id.startsWith(`${path} `) && payload.grantId === grantId) kept.delete(id);
    }
  }
};

const client = (id, path, more = {}) => ({
  client_id: id,
  client_secret: `${id}-secret-6c1f`,
  application_type: 'native',
  token_endpoint_auth_method: 'client_secret_post',
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  redirect_uris: ['google', 'microsoft', 'post', 'other'].flatMap((one) => [
    `http://localhost/oauth/${one}/callback/`, `http://127.0.0.1/oauth/${one}/callback/`]).filter(
    (uri) => uri.includes(`/${path}/`)),
  ...more,
});

// Application-only access: no person, no redirect.
const service = (id) => client(id, '', {
  grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
  scope: 'https://outlook.office365.com/.default',
});

function provider(path, scopes, clients) {
  const made = new Provider(`https://localhost:${port}${path}`, {
    clients,
    adapter: keptFor(path),
    scopes: ['openid', 'email', 'profile', 'offline_access', ...scopes],
    claims: {
      openid: ['sub', 'tid', 'preferred_username'], email: ['email', 'email_verified'], profile: ['name'],
      'https://www.googleapis.com/auth/userinfo.email': ['email', 'email_verified'],
    },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    cookies: { keys: ['only for tests'] },
    ttl: {
      AccessToken: () => state.ttl, RefreshToken: 86400, Session: 3600, Grant: 86400, Interaction: 3600, IdToken: 3600,
      ClientCredentials: () => state.ttl,
    },
    features: {
      devInteractions: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: { enabled: false },
    },
    findAccount: async (ctx, id) => ({
      accountId: id,
      claims: async () => ({
        sub: id, email: id, email_verified: true, preferred_username: id, tid: 'tenant-1',
      }),
    }),
  });
  made.on('grant.success', (ctx) => {
    const kind = ctx.oidc.params.grant_type;
    state.grants[kind] = (state.grants[kind] || 0) + 1;
  });
  made.on('server_error', (ctx, error) => console.error(error));
  return [path, made.callback()];
}

const reader = (id) => ({
  client_id: `${id}-rs`, client_secret: `${id}-secret-6c1f`, token_endpoint_auth_method: 'client_secret_basic',
  grant_types: [], response_types: [], redirect_uris: [],
});

const mounts = [
  provider('/google', GOOGLE, [
    reader('google-app'), client('google-app', 'google'), client('google-no-mail', 'google', { scope: 'openid email' })]),
  provider('/tenant-1/v2.0', MICROSOFT, [
    reader('microsoft-app'), client('microsoft-app', 'microsoft'), service('microsoft-service'),
    client('microsoft-no-mail', 'microsoft', { scope: 'openid email profile offline_access' })]),
  provider('/post', ['mail'], [reader('post-app'), client('post-app', 'post')]),
  provider('/other', ['mail'], [reader('other-app'), client('other-app', 'other')]),
];

// As where a person unticks the box for the mail: the consent goes on without it.
function unticked(url) {
  const asked = new URL(url, 'http://localhost');
  const left = asked.searchParams.get('scope').split(' ').filter((one) => !/mail|outlook/.test(one) || one === 'email');
  asked.searchParams.set('scope', left.join(' '));
  return asked.pathname + asked.search;
}

function answer(request, response) {
  if (state.down) { request.socket.destroy(); return; }
  for (const [path, callback] of mounts) {
    if (request.url.startsWith(`${path}/`)) {
      request.url = request.url.slice(path.length);
      // Microsoft grants offline_access without being asked to show the consent; this server only with it.
      if (path.startsWith('/tenant') && request.url.startsWith('/auth?')) {
        request.url = request.url.includes('&prompt=')
          ? request.url.replace('&prompt=', '&prompt=consent%20') : `${request.url}&prompt=consent`;
      }
      if (state.narrow && request.url.startsWith('/auth?')) request.url = unticked(request.url);
      request.originalUrl = path + request.url;
      callback(request, response);
      return;
    }
  }
  response.writeHead(404).end();
}

// Dovecot 2.3 cannot name itself in a posted introspection: the header is put in from ?as=.
function introspect(request) {
  const found = new URL(request.url, 'http://localhost').searchParams.get('as');
  if (!found) return;
  request.headers.authorization = `Basic ${Buffer.from(`${found}-rs:${found}-secret-6c1f`).toString('base64')}`;
}

function control(request, response) {
  introspect(request);
  if (!request.url.startsWith('/_control')) { answer(request, response); return; }
  const wish = new URL(request.url, 'http://localhost').searchParams;
  if (wish.has('ttl')) state.ttl = Number(wish.get('ttl'));
  if (wish.has('save')) fs.writeFileSync(store, JSON.stringify([...kept]));
  if (wish.has('narrow')) state.narrow = wish.get('narrow') === '1';
  if (wish.has('down')) state.down = wish.get('down') === '1';
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(state));
}

http.createServer(control).listen(Number(plainPort), '127.0.0.1', () => {
  https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, answer)
    .listen(Number(port), '127.0.0.1', () => console.log('ready'));
});
