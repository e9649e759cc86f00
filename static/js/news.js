// News by a short poll of one tab per browser; the others hear it. Counts and title change here, rows in mail.js.

const PERIOD = 3000; // ms
const address = document.body.dataset.news;
const channel = new BroadcastChannel("crm-mail-news");
let seen = document.body.dataset.newsState ?? "";
let last = "";

function count(id, number, label) {
  const badge = document.getElementById(id);
  if (!badge) return;
  badge.hidden = !number;
  badge.querySelector("[data-count]").textContent = label;
}

function tell(news) {
  count("rail-unread", news.unread, news.unread_label);
  count("rail-notices", news.needs_you, String(news.needs_you));
  const title = document.title.replace(/^\(\d+\+?\) /, "");
  document.title = news.unread ? `(${news.unread_label}) ${title}` : title;
  if (news.mail !== seen || news.is_downloading) document.dispatchEvent(new CustomEvent("crm:news", { detail: news }));
  seen = news.mail;
}

channel.addEventListener("message", (event) => tell(event.data));

async function ask() {
  const answer = await fetch(`${address}?after=${encodeURIComponent(last)}`, { headers: { Accept: "application/json" } });
  if (answer.status !== 200 || answer.redirected) return answer.status === 204;
  const news = await answer.json();
  last = news.state;
  tell(news);
  channel.postMessage(news);
  return true;
}

async function poll() {
  let pause = PERIOD;
  for (;;) {
    try {
      pause = (await ask()) ? PERIOD : Math.min(pause * 2, 60000);
    } catch {
      pause = Math.min(pause * 2, 60000); // the server is away; ask again, more and more seldom
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

if (address) {
  // Web Locks exist in secure contexts only; without them every visible tab asks for itself.
  if (navigator.locks) navigator.locks.request("crm-mail-news", poll);
  else poll();
}
