/**
 * Whether an account that exists may be logged in to now. Pure: facts in, reason out. The rules are those of sshd with
 * UsePAM off, but a password field that was never set does not count as locked: certificate logins need no password.
 */

import type { Account, ShadowEntry } from './account-files.ts'

export type ShellState = 'ok' | 'missing' | 'not-executable'

export interface AccountFacts {
  readonly account: Account
  /** Undefined where the shadow file cannot be read (not root) or has no line for the account. */
  readonly shadow: ShadowEntry | undefined
  readonly shell: ShellState
  /** Content of /etc/nologin; undefined when the file is not there. */
  readonly nologin: string | undefined
  readonly now: Date
}

export type AccountVerdict =
  | { readonly ok: true }
  | {
      readonly ok: false
      /** For the log and the audit event. */
      readonly reason: string
      /** For the person who tries to log in. */
      readonly message: string
    }

const dayMs = 86_400_000

/** Root passes /etc/nologin, as everywhere, so that somebody can undo it. */
export function judgeAccount(facts: AccountFacts): AccountVerdict {
  const { account, shadow } = facts
  if (shadow !== undefined && isLocked(shadow.password)) {
    return refuse(`account ${account.name} is locked`, `The account ${account.name} is locked on this server.`)
  }
  const today = Math.floor(facts.now.getTime() / dayMs)
  if (shadow?.expireDay !== undefined && today >= shadow.expireDay) {
    return refuse(`account ${account.name} has expired`, `The account ${account.name} has expired on this server.`)
  }
  if (!account.shell.startsWith('/') || facts.shell === 'missing') {
    return refuse(
      `shell ${account.shell} of ${account.name} does not exist`,
      `The login shell of ${account.name} does not exist on this server.`,
    )
  }
  if (facts.shell === 'not-executable') {
    return refuse(
      `shell ${account.shell} of ${account.name} is not executable`,
      `The login shell of ${account.name} is not executable on this server.`,
    )
  }
  if (facts.nologin !== undefined && account.uid !== 0) {
    const text = facts.nologin.trim()
    return refuse('/etc/nologin exists', text === '' ? 'Logins are disabled on this server at the moment.' : text)
  }
  return { ok: true }
}

/**
 * `!` before a real hash is what `passwd -l` and `usermod -L` leave. A bare `!`, `!!`, `*` or `!*` is an account that never
 * had a password: the usual state of accounts that are only reached with keys and certificates.
 */
export function isLocked(password: string): boolean {
  if (!password.startsWith('!')) return false
  const rest = password.replace(/^!+/, '')
  return rest !== '' && rest !== '*'
}

function refuse(reason: string, message: string): AccountVerdict {
  return { ok: false, reason, message }
}
