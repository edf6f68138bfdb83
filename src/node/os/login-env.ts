/**
 * The environment of a login: what a fresh login on this machine would have, plus what the session adds. It is built from
 * nothing, so no variable of the daemon can reach a session (its LD_PRELOAD, NODE_OPTIONS or secrets).
 */

import { readFileSync } from 'node:fs'
import type { Account } from './account-files.ts'

export type Environment = ReadonlyMap<string, string>

/** What the machine's own files say. */
export interface SystemEnvironment {
  /** login.defs(5) ENV_PATH and ENV_SUPATH. */
  readonly userPath: string | undefined
  readonly rootPath: string | undefined
  /** /etc/environment and /etc/default/locale (pam_env). */
  readonly variables: Environment
}

const defaultUserPath = '/usr/local/bin:/usr/bin:/bin:/usr/games'
const defaultRootPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const maxVariables = 1000
const maxValue = 32_768

export interface LoginEnvironmentInput {
  readonly account: Account
  readonly system: SystemEnvironment
  /** What the client asked for; only the allow list passes. */
  readonly client: ReadonlyMap<string, string>
  /** `~/.tsh/environment`, already read with the user's rights; empty when it is not permitted. */
  readonly user: Environment
  /** SSH_CONNECTION and its like; win over everything else. */
  readonly session: Readonly<Record<string, string>>
}

/** Later sources win: machine, account, client, the user's own file, session. */
export function loginEnvironment(input: LoginEnvironmentInput): Record<string, string> {
  const { account, system } = input
  const env = new Map<string, string>()
  env.set('PATH', account.uid === 0 ? (system.rootPath ?? defaultRootPath) : (system.userPath ?? defaultUserPath))
  for (const [name, value] of system.variables) env.set(name, value)
  env.set('HOME', account.home)
  env.set('USER', account.name)
  env.set('LOGNAME', account.name)
  env.set('SHELL', account.shell)
  env.set('MAIL', `/var/mail/${account.name}`)
  for (const [name, value] of input.client) if (isAllowedFromClient(name) && isValue(value)) env.set(name, value)
  for (const [name, value] of input.user) env.set(name, value)
  for (const [name, value] of Object.entries(input.session)) env.set(name, value)
  return Object.fromEntries(env)
}

/** `LANG` and `LC_*`, as distributions configure sshd; anything else could change how programs are loaded or run. */
export function isAllowedFromClient(name: string): boolean {
  return name === 'LANG' || /^LC_[A-Z0-9_]{1,32}$/.test(name)
}

function isValue(value: string): boolean {
  return value.length <= maxValue && !value.includes('\0')
}

/** `NAME=value` lines as pam_env reads them: comments, an optional `export`, optional quotes. Bad lines are skipped. */
export function parseEnvironmentFile(text: string): Environment {
  const variables = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,255})=(.*)$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined || variables.size >= maxVariables) continue
    const value = unquote(match[2].replace(/\s+$/, ''))
    if (isValue(value)) variables.set(match[1], value)
  }
  return variables
}

function unquote(value: string): string {
  const quote = value[0]
  if (quote !== '"' && quote !== "'") return value.replace(/\s+#.*$/, '')
  const end = value.indexOf(quote, 1)
  return end === -1 ? value.slice(1) : value.slice(1, end)
}

/** Reads the machine's files anew: administrators expect a change to count at the next login. */
export function readSystemEnvironment(): SystemEnvironment {
  const defs = readText('/etc/login.defs')
  const variables = new Map([
    ...parseEnvironmentFile(readText('/etc/environment')),
    ...parseEnvironmentFile(readText('/etc/default/locale')),
  ])
  return { userPath: pathFrom(defs, 'ENV_PATH'), rootPath: pathFrom(defs, 'ENV_SUPATH'), variables }
}

/** `ENV_PATH PATH=/usr/bin:/bin` or without the `PATH=`. */
export function pathFrom(loginDefs: string, key: string): string | undefined {
  const match = new RegExp(`^[ \\t]*${key}[ \\t]+(?:PATH=)?(\\S+)`, 'm').exec(loginDefs)
  return match?.[1]
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, 1 << 20)
  } catch {
    return ''
  }
}
