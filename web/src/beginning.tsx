/**
 * What is seen before the scripts have come: the build makes HTML of it (`beginnings.ts`), the proxy sends the one that fits, and the
 * real thing takes its place without a jump. Nothing of the library in it, and nothing that is not known before one is.
 */

import type { ReactNode } from 'react'
import type { WebState } from './api.ts'
import { SearchIcon, ShieldIcon } from './icons.tsx'
import { codeHints, text } from './text.ts'

type SecondFactor = WebState['secondFactor']

/** Of whom nothing is known. */
export const Beginning = () => (
  <main className="centre beginning" id="content">
    <ShieldIcon size={44} />
    <span className="visually-hidden">{text.loading}</span>
  </main>
)

/** The card of the login, around its form. */
export const LoginCard = ({ clusterName, children }: { clusterName: string; children: ReactNode }) => (
  <main className="login" id="content">
    <div className="card login-card">
      <div className="mark">
        <ShieldIcon />
        <span>{text.product}</span>
      </div>
      <h1 className="h2">{text.login.title(clusterName)}</h1>
      {children}
      <p className="dim small no-account">{text.login.noAccount}</p>
    </div>
  </main>
)

const Field = ({ name, hint }: { name: string; hint?: string }) => (
  <div>
    <b>{name}</b>
    {hint === undefined ? null : <p>{hint}</p>}
    <div className="box" />
  </div>
)

/** By the second factor that the cluster takes. */
export function LoginBeginning({ clusterName, secondFactor }: { clusterName: string; secondFactor: SecondFactor }) {
  const words = text.login
  return (
    <LoginCard clusterName={clusterName}>
      <div className="ghost" aria-hidden="true">
        <Field name={words.user} />
        <Field name={words.password} />
        {secondFactor === 'off' || secondFactor === 'webauthn' ? null : (
          <Field name={words.code} hint={codeHints[secondFactor]} />
        )}
        {secondFactor === 'webauthn' ? <p className="dim small">{words.keyNext}</p> : null}
        <div className="go">{words.submit}</div>
        {secondFactor === 'off' ? null : <div className="other">{words.useRecovery}</div>}
      </div>
    </LoginCard>
  )
}

/** The bar, and below it the page that comes. */
export const ShellBeginning = ({ clusterName, children }: { clusterName: string; children: ReactNode }) => (
  <div className="shell">
    <header className="bar">
      <div className="mark">
        <ShieldIcon size={22} />
        <span>{clusterName}</span>
      </div>
    </header>
    <main id="content">{children}</main>
  </div>
)

/** What a page that is not there yet shows. */
export const Coming = () => (
  <div className="page">
    <span className="loader" role="status" aria-label={text.loading} />
  </div>
)

export const NodesBeginning = () => (
  <div className="page">
    <div className="page-head">
      <h1 className="h2">{text.nodes.title}</h1>
    </div>
    <div className="field">
      <span>
        <SearchIcon />
      </span>
      <input type="search" aria-label={text.nodes.search} placeholder={text.nodes.search} disabled />
      <span>
        <kbd>/</kbd>
      </span>
    </div>
    <NodesComing />
  </div>
)

export const NodesComing = () => (
  <div className="card nodes" aria-busy="true">
    {[1, 2, 3, 4, 5].map((row) => (
      <div key={row} className="bone" />
    ))}
    <span className="visually-hidden">{text.loading}</span>
  </div>
)
