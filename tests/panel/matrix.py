"""Who may do what at every address: the table. A new address needs a row here, or the tests fail.

A row: name of the address → (what fills its pattern, GET, POST). GET and POST have one letter per role, in the order of
ROLES: o = shown (200, 204), r = done and sent elsewhere, l = sent to sign in, n = not found (404), f = forbidden (403),
m = method refused (405), b = the form or the file is refused (400, 422), g = gone (410), s = the mail server does not answer
(503), x = asks for the password once more.

The places to add rows are marked by group; the objects that patterns name are made in `tests/panel/world.py`.
"""

from __future__ import annotations

ROLES = ("owner", "see", "send", "set_up", "stranger", "mail_administrator", "administrator", "anonymous")

Row = tuple[dict[str, str], str, str]
ROWS: dict[str, Row] = {
    # Sign-in of the application's own users (allauth)
    "account_login": ({}, "rrrrrrro", "rrrrrrro"),
    "account_logout": ({}, "ooooooor", "rrrrrrrr"),
    "account_inactive": ({}, "oooooooo", "mmmmmmmm"),
    "account_signup": ({}, "rrrrrrro", "rrrrrrro"),
    "account_reauthenticate": ({}, "ooooooox", "ooooooox"),
    "account_email": ({}, "oooooool", "rrrrrrrl"),
    "account_email_verification_sent": ({}, "oooooooo", "mmmmmmmm"),
    "account_change_password": ({}, "oooooool", "oooooool"),
    "account_set_password": ({}, "rrrrrrrl", "rrrrrrrl"),
    "account_reset_password": ({}, "oooooooo", "oooooooo"),
    "account_confirm_login_code": ({}, "rrrrrrrl", "rrrrrrrl"),
    "account_confirm_email": ({"key": "unknown"}, "oooooooo", "nnnnnnnn"),
    "account_reset_password_from_key_done": ({}, "oooooooo", "mmmmmmmm"),
    "account_reset_password_from_key": ({"uidb36": "1", "key": "unknown"}, "oooooooo", "oooooooo"),
    "account_reset_password_done": ({}, "oooooooo", "mmmmmmmm"),
    "mfa_index": ({}, "oooooool", "mmmmmmml"),
    "mfa_authenticate": ({}, "rrrrrrrl", "rrrrrrrl"),
    "mfa_reauthenticate": ({}, "xxxxxxxx", "xxxxxxxx"),
    "mfa_activate_totp": ({}, "xxxxxxxl", "xxxxxxxl"),
    "mfa_deactivate_totp": ({}, "nnnnnnnl", "nnnnnnnl"),
    "mfa_view_recovery_codes": ({}, "nnnnnnnl", "mmmmmmml"),
    "mfa_generate_recovery_codes": ({}, "xxxxxxxl", "xxxxxxxl"),
    "mfa_download_recovery_codes": ({}, "nnnnnnnl", "nnnnnnnl"),
    "usersessions_list": ({}, "oooooool", "rrrrrrrl"),
    # Email
    "panel:inbox": ({}, "oooooool", "mmmmmmml"),
    "panel:thread": ({"thread_id": "thread_id"}, "oooonnnl", "mmmmmmml"),
    "panel:mark": ({"thread_id": "thread_id"}, "mmmmmmml", "rrrrnnnl"),
    "panel:synchronize": ({}, "mmmmmmml", "rrrrrrrl"),
    "panel:message": ({"message_id": "message_id"}, "oooonnnl", "mmmmmmml"),
    "panel:message_body": ({"message_id": "message_id"}, "oooonnnl", "mmmmmmml"),
    "panel:message_source": ({"message_id": "message_id"}, "ssssnnnl", "mmmmmmml"),
    "panel:part": ({"part_id": "part_id"}, "oooonnnl", "mmmmmmml"),
    "panel:part_preview": ({"part_id": "picture_id"}, "oooonnnl", "mmmmmmml"),
    "panel:inline_part": ({"token": "picture_token"}, "onnnnnno", "mmmmmmmm"),
    "panel:search": ({}, "rrrrrrrl", "mmmmmmml"),
    "panel:news": ({}, "oooooool", "mmmmmmml"),
    "panel:keys": ({}, "oooooool", "mmmmmmml"),
    # Wizard and settings
    "panel:new_email_account": ({}, "oooooool", "oooooool"),
    "panel:wizard_service": ({"setup_id": "setup_id"}, "onnnnnnl", "nnnnnnnl"),
    "panel:wizard_server": ({"setup_id": "setup_id"}, "fnnnnnnl", "fnnnnnnl"),
    "panel:wizard_password": ({"setup_id": "setup_id"}, "rnnnnnnl", "rnnnnnnl"),
    "panel:wizard_check": ({"setup_id": "setup_id"}, "rnnnnnnl", "mmmmmmml"),
    "panel:wizard_steps": ({"setup_id": "setup_id"}, "onnnnnnl", "mmmmmmml"),
    "panel:wizard_retry": ({"setup_id": "setup_id"}, "mmmmmmml", "rnnnnnnl"),
    "panel:wizard_receive_only": ({"setup_id": "setup_id"}, "mmmmmmml", "rnnnnnnl"),
    "panel:wizard_done": ({"setup_id": "setup_id"}, "rnnnnnnl", "rnnnnnnl"),
    "panel:sign_in_again": ({"email_account_id": "email_account_id"}, "onnononl", "rnnrnrnl"),
    "panel:settings": ({}, "oooooool", "oooooool"),
    "panel:settings_look": ({}, "mmmmmmml", "rrrrrrrl"),
    "panel:settings_people": ({}, "fffffool", "fffffool"),
    "panel:invitation_withdraw": ({"invitation_id": "invitation_id"}, "mmmmmmml", "fffffrrl"),
    "panel:invitation": ({"token": "unknown"}, "nnnnnnnn", "nnnnnnnn"),
    "panel:email_account": ({"email_account_id": "email_account_id"}, "onnononl", "onnononl"),
    "panel:answer_download": ({"email_account_id": "email_account_id"}, "mmmmmmml", "rnnrnrnl"),
    "panel:email_account_sync": ({"email_account_id": "email_account_id"}, "mmmmmmml", "rnnrnrnl"),
    "panel:email_account_folders": ({"email_account_id": "email_account_id"}, "mmmmmmml", "rnnrnrnl"),
    "panel:email_account_pause": ({"email_account_id": "email_account_id"}, "mmmmmmml", "rnnrnrnl"),
    "panel:email_account_resume": ({"email_account_id": "email_account_id"}, "mmmmmmml", "rnnrnrnl"),
    "panel:email_account_remove": ({"email_account_id": "email_account_id"}, "onnnnnnl", "rnnnnnnl"),
    "panel:why": ({"email_account_id": "email_account_id"}, "oooonnnl", "mmmmmmml"),
    "panel:why_import": ({"email_account_id": "email_account_id"}, "mmmmmmml", "nnnnnnnl"),
    "panel:why_try_again": ({"email_account_id": "email_account_id"}, "mmmmmmml", "rrrrnnnl"),
    "panel:sharing": ({"email_account_id": "email_account_id"}, "mmmmmmml", "rnnnnrnl"),
    "panel:sharing_remove": ({"email_account_id": "email_account_id", "share_id": "share_id"}, "mmmmmmml", "rnnnnrnl"),
    # People, companies, links
    "panel:contacts": ({}, "oooooool", "mmmmmmml"),
    "panel:contact_new": ({}, "oooooool", "oooooool"),
    "panel:contacts_import": ({}, "oooooool", "oooooool"),
    "panel:contacts_export": ({}, "oooooool", "mmmmmmml"),
    "panel:contact": ({"contact_id": "contact_id"}, "oooooool", "mmmmmmml"),
    "panel:contact_edit": ({"contact_id": "contact_id"}, "oooooool", "oooooool"),
    "panel:contact_merge": ({"contact_id": "contact_id"}, "oooooool", "oooooool"),
    "panel:contact_delete": ({"contact_id": "contact_id"}, "oooooool", "rrrrrrrl"),
    "panel:companies": ({}, "oooooool", "mmmmmmml"),
    "panel:company_new": ({}, "oooooool", "oooooool"),
    "panel:company_names": ({}, "oooooool", "mmmmmmml"),
    "panel:company": ({"company_id": "company_id"}, "oooooool", "mmmmmmml"),
    "panel:company_edit": ({"company_id": "company_id"}, "oooooool", "oooooool"),
    "panel:company_merge": ({"company_id": "company_id"}, "oooooool", "oooooool"),
    "panel:company_delete": ({"company_id": "company_id"}, "oooooool", "rrrrrrrl"),
    "panel:context": ({"thread_id": "thread_id"}, "oooonnnl", "mmmmmmml"),
    "panel:thread_links": ({"thread_id": "thread_id"}, "oooonnnl", "nnnnnnnl"),
    # Notifications
    "panel:notifications": ({}, "oooooool", "mmmmmmml"),
    "panel:notifications_read": ({}, "mmmmmmml", "rrrrrrrl"),
    "panel:notification_dismiss": ({"notification_id": "notification_id"}, "mmmmmmml", "rnnnnnnl"),
}
