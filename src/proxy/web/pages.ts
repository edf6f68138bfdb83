/**
 * The few pages a proxy shows until the portal exists: plain HTML, one style sheet inside, no script, nothing loaded from
 * elsewhere. A page must look right on a phone, in the dark, and with every header of the strictest policy.
 */

import { createHash } from 'node:crypto'

const style = `
:root{color-scheme:light dark;--ink:#17202a;--soft:#5b6875;--paper:#f6f7f9;--card:#fff;--line:#dfe4ea;--accent:#3949ab;--code:#f0f2f6}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa7b5;--paper:#10151b;--card:#182029;--line:#2a3540;--accent:#9fa8ff;--code:#0d1217}}
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
footer{margin-top:1.6rem;padding-top:1rem;border-top:1px solid var(--line)}
`.trim()

/** The Content-Security-Policy under which the pages work: the style sheet by its hash, and nothing else at all. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
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
const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '')

const page = (title: string, body: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${html`<title>${title}</title>`}
<style>${style}</style>
</head>
<body>
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

/** What a person sees who opens an invite (or reset) link in a browser. Says the same for a used-up link: nothing leaks here. */
export function linkPage(kind: 'invite' | 'reset', token: string, context: PageContext): string {
  const command = `tsh signup${insecure(context)} https://${context.webAddress}/web/${kind}/${token}`
  const title = kind === 'invite' ? 'Finish your sign-up' : 'Choose a new password'
  const lead =
    kind === 'invite'
      ? html`You were invited to the cluster <strong>${context.clusterName}</strong>. One command in a terminal sets your password and your second factor.`
      : html`Your access to the cluster <strong>${context.clusterName}</strong> was reset. One command in a terminal sets a new password and second factor.`
  return page(
    title,
    `<h1>${title}</h1>
<p>${lead}</p>
${notice(context)}<ol>
<li>Have an authenticator app ready on your phone.</li>
<li>On your computer, run:${html`<pre><code>${command}</code></pre>`}</li>
<li>Then log in:${html`<pre><code>tsh login${insecure(context)} --proxy=${context.webAddress}</code></pre>`}</li>
</ol>
${insecureNote(context)}
<footer class="soft">This link works once and only for a while. Do not pass it on: whoever runs the command becomes this user.</footer>`,
  )
}

/** The front page: what this is and how to get in. */
export function landingPage(context: PageContext): string {
  return page(
    'Teleport',
    `<h1>${html`SSH access to ${context.clusterName}`}</h1>
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
