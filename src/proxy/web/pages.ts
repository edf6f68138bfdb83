/**
 * The few pages of a proxy outside the portal, for those who have no account yet or are at a terminal: plain HTML, one style sheet
 * inside, at most one script and that a file of the proxy's own, nothing loaded from elsewhere. A page must look right on a phone, in
 * the dark, and with every header of the strictest policy.
 */

import { createHash } from 'node:crypto'

const style = `
:root{color-scheme:light dark;--ink:#17202a;--soft:#5b6875;--paper:#f6f7f9;--card:#fff;--line:#dfe4ea;--accent:#3949ab;--code:#f0f2f6;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa7b5;--paper:#10151b;--card:#182029;--line:#2a3540;--accent:#9fa8ff;--code:#0d1217;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--paper);color:var(--ink);font:1rem/1.6 system-ui,sans-serif}
main{width:100%;max-width:38rem;background:var(--card);border:1px solid var(--line);border-radius:14px;padding:clamp(1.25rem,5vw,2.5rem)}
.mark{display:flex;align-items:center;gap:.6rem;color:var(--accent);font-weight:650;letter-spacing:.01em}
.mark svg{width:1.6rem;height:1.6rem;flex:none}
h1{font-size:clamp(1.35rem,5vw,1.75rem);line-height:1.25;margin:1.1rem 0 .5rem}
p{margin:.6rem 0}
ol{padding-left:1.3rem;margin:1rem 0}
li{margin:.75rem 0}
pre{margin:.5rem 0;padding:.8rem .95rem;background:var(--code);border:1px solid var(--line);border-radius:9px;white-space:pre-wrap;overflow-wrap:anywhere;user-select:all}
code{font:.92em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.soft{color:var(--soft);font-size:.92rem}
label,legend{display:block;font-weight:600;margin-top:1rem}
fieldset{border:1px solid var(--line);border-radius:9px;margin:1.2rem 0 0;padding:.2rem 1rem 1rem}
fieldset label{display:flex;align-items:baseline;gap:.5rem;font-weight:400;margin-top:.5rem}
input[type=password],input[type=text]{width:100%;font:inherit;padding:.6rem .75rem;border:1px solid var(--line);border-radius:9px;background:var(--paper);color:var(--ink)}
button{font:inherit;font-weight:600;margin-top:1.4rem;padding:.7rem 1.3rem;border:0;border-radius:9px;background:var(--accent);color:var(--card);cursor:pointer}
button:disabled{opacity:.6;cursor:default}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1.1rem;margin:1.1rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
#phrase{font:600 1.3rem/1.4 ui-monospace,Menlo,Consolas,monospace;letter-spacing:.06em}
meter{width:9rem;height:.8rem;vertical-align:middle}
#qr svg{display:block;width:min(15rem,100%);margin:.8rem 0;border-radius:9px}
.error{color:var(--bad);font-weight:600}
[hidden]{display:none}
a.go{display:inline-block;margin:.4rem 0;padding:.6rem 1.1rem;border-radius:9px;background:var(--accent);color:var(--card);font-weight:600;text-decoration:none}
footer{margin-top:1.6rem;padding-top:1rem;border-top:1px solid var(--line)}
`.trim()

/** The Content-Security-Policy under which the pages work: the style sheet by its hash, the proxy's own script, its own API. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "script-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const mark = `<div class="mark"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M12 2.8 4.5 6v5.4c0 4.6 3.1 8.2 7.5 9.8 4.4-1.6 7.5-5.2 7.5-9.8V6z"/><path d="m8.6 9.4 2.6 2.6-2.6 2.6M12.6 14.8h3"/></svg><span>Teleport</span></div>`

/** HTML from a template: every value is escaped, so that text stays text. */
export function html(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.map((part, index) => part + escapeHtml(values[index] ?? '')).join('')
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
export const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '')

/** Where the script of the pages lies. */
export const scriptPath = '/web/assets/page.js'

const page = (title: string, body: string, script?: 'invite' | 'ceremony'): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${html`<title>${title}</title>`}
<style>${style}</style>
${script === undefined ? '' : `<script type="module" src="${scriptPath}"></script>`}
</head>
<body${script === undefined ? '' : ` data-page="${script}"`}>
<main>
${mark}
${body}
</main>
</body>
</html>
`

export interface PageContext {
  readonly clusterName: string
  /** What whoever logs in has to read; may be empty. */
  readonly messageOfTheDay: string
  /** `host:port` of this proxy from its configuration; never from the request, whose Host header anybody can forge. */
  readonly webAddress: string
  /** Commands then say --insecure, or they would not work. */
  readonly selfSigned: boolean
}

const insecure = (context: PageContext): string => (context.selfSigned ? ' --insecure' : '')
const insecureNote = (context: PageContext): string =>
  context.selfSigned
    ? `<p class="soft"><code>--insecure</code> is there because this proxy has a certificate that it made itself.</p>`
    : ''

/** Its lines stay lines. */
const notice = ({ messageOfTheDay }: PageContext): string =>
  messageOfTheDay.trim() === ''
    ? ''
    : html`<pre role="note">${messageOfTheDay.trim()}</pre>
`

const status = `<p id="status" role="status" aria-live="polite">One moment…</p>
<noscript><p class="error">This page needs JavaScript.</p></noscript>`

/** What a person sees who opens an invite (or reset) link in a browser. Says the same for a used-up link: nothing leaks here. */
export function linkPage(kind: 'invite' | 'reset', token: string, context: PageContext): string {
  const command = `tsh signup${insecure(context)} https://${context.webAddress}/web/${kind}/${token}`
  const title = kind === 'invite' ? 'Finish your sign-up' : 'Choose a new password'
  const lead =
    kind === 'invite'
      ? html`You were invited to the cluster <strong>${context.clusterName}</strong>.`
      : html`Your access to the cluster <strong>${context.clusterName}</strong> was reset.`
  return page(
    title,
    `<h1>${title}</h1>
<p id="lead">${lead} <span id="task"></span></p>
${notice(context)}${status}
<form id="signup" hidden>
<p>User name: <strong id="user"></strong></p>
<label for="password">New password</label>
<input id="password" type="password" autocomplete="new-password" required aria-describedby="password-hint">
<p class="soft" id="password-hint"></p>
<meter id="strength" min="0" max="4" low="2" high="3" optimum="4" value="0" aria-label="Strength of the password" aria-describedby="strength-words"></meter>
<span class="soft" id="strength-words" aria-live="polite"></span>
<label for="again">The same password again</label>
<input id="again" type="password" autocomplete="new-password" required>
<fieldset id="factors">
<legend>Second factor</legend>
<label id="choice-app"><input type="radio" name="factor" id="factor-app" value="app"> An authenticator app on a phone</label>
<label id="choice-key"><input type="radio" name="factor" id="factor-key" value="key"> A security key, or this device</label>
<label id="choice-none"><input type="radio" name="factor" id="factor-none" value="none"> None</label>
<div id="app" hidden>
<div id="qr"></div>
<p>Scan it, or type this secret into the app: <code id="secret"></code></p>
<label for="code">Code that the app shows</label>
<input id="code" type="text" inputmode="numeric" autocomplete="one-time-code" maxlength="12">
</div>
<div id="key" hidden>
<label for="key-name">A name for the key</label>
<input id="key-name" type="text" maxlength="64" autocomplete="off" placeholder="security key">
</div>
</fieldset>
<button id="finish">Finish</button>
</form>
<section id="done" tabindex="-1" hidden>
<h2>Done</h2>
<div id="recovery">
<p>Keep these recovery codes in a safe place. Each one stands once for your second factor should you lose it. They are shown only now.</p>
<ul id="codes"></ul>
<button id="copy" type="button">Copy the codes</button> <span class="soft" id="copied" role="status"></span>
</div>
<p><a class="go" href="/web/login">Log in with this browser</a></p>
<p>Or in a terminal:</p>${html`<pre><code>tsh login${insecure(context)} --proxy=${context.webAddress}</code></pre>`}
</section>
<footer class="soft" id="instead">
<div id="terminal">
<p>In a terminal the same is done by:</p>${html`<pre><code>${command}</code></pre>`}
${insecureNote(context)}
</div>
<p>This link works once and only for a while. Do not pass it on: whoever uses it becomes this user.</p>
</footer>`,
    'invite',
  )
}

/** On which somebody proves their security key for a program on their computer. */
export function ceremonyPage(context: PageContext): string {
  return page(
    'Security key',
    `<h1 id="title">Security key</h1>
${status}
<div id="ask" hidden>
<dl id="details"></dl>
<p>Your terminal shows the same words: <span id="phrase"></span></p>
<p class="soft">Go on only if you have just started this yourself, on this computer, and the words agree.</p>
<button id="use-key">Use security key</button>
</div>
${html`<footer class="soft">${context.clusterName}</footer>`}`,
    'ceremony',
  )
}

/** The front page: what this is and how to get in. */
export function landingPage(context: PageContext, hasApp = false): string {
  return page(
    'Teleport',
    `<h1>${html`SSH access to ${context.clusterName}`}</h1>
${hasApp ? '<p><a class="go" href="/web">Log in with this browser</a></p>' : ''}
<p>This proxy is the way into the servers of this cluster. You log in once, get a certificate that lives for hours, and use it with <code>tsh</code> or with the <code>ssh</code> you have.</p>
<ol>
<li>Log in:${html`<pre><code>tsh login${insecure(context)} --proxy=${context.webAddress} --user=NAME</code></pre>`}</li>
<li>See your servers, and go to one:<pre><code>tsh ls
tsh ssh LOGIN@SERVER</code></pre></li>
</ol>
${insecureNote(context)}
<footer class="soft">No account yet? An administrator makes one and sends you a link.</footer>`,
  )
}

/** For a path that leads nowhere. */
export const notFoundPage = (context: PageContext): string =>
  page(
    'Not found',
    `<h1>There is nothing here</h1>
<p>The address is wrong, or the link was cut when it was copied. An invite link is one long line.</p>
${html`<footer class="soft">${context.clusterName}</footer>`}`,
  )
