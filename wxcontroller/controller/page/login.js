// Signing in. The page asks the API by `request`; when that throws NeedsToken, it waits for `askForToken` and asks again.
// While nobody is signed in, the page's root has the class "signed-out", and login.css shows the form alone.

// In this tab's storage and not in a cookie: cookies go to every port of a host, and behind another one may be a program
// that should not have it. Never in an address.
const TOKEN = "wxcontroller-token";
const form = document.getElementById("login");
const leave = document.getElementById("leave");
let token = sessionStorage.getItem(TOKEN);

export class NeedsToken extends Error {}

export async function request(method, path, body, options = {}) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  if (token) headers["X-Auth-Token"] = token; // Authorization may be a reverse proxy's
  const response = await fetch(path, {
    method,
    headers,
    cache: "no-store",
    body: body ? JSON.stringify(body) : undefined,
    ...options,
  });
  const asked = response.headers.get("WWW-Authenticate") ?? "";
  if (response.status === 401 && asked.startsWith("Bearer")) throw new NeedsToken();
  return response;
}

// Shows the form in place of everything else, and resolves when it was sent. Says whether there was a token before,
// which is good no more.
export async function askForToken() {
  form.querySelector("[role=alert]").hidden = !token;
  keep(null);
  show(false);
  form.elements.token.focus();
  await new Promise((sent) => form.addEventListener("submit", sent, { once: true }));
  keep(form.elements.token.value.trim());
  form.reset();
}

// To be called when the API has answered.
export function signedIn() {
  show(true);
}

function keep(value) {
  token = value;
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
}

function show(inside) {
  document.documentElement.classList.toggle("signed-out", !inside);
  form.hidden = inside;
  leave.hidden = !inside || !token;
}

form.addEventListener("submit", (event) => event.preventDefault());
leave.addEventListener("click", () => {
  keep(null);
  location.reload();
});
