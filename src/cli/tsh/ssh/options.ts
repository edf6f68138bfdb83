/** The options of `tsh ssh`, as data for commander and for the quick parser, and what they mean together. */

import { parseDuration } from '../../../common/durations.ts'
import { checkName } from '../../../common/names.ts'
import { BadParameter } from '../../../errors/errors.ts'
import type { OptionSpec, OptionValues } from '../../common/spec.ts'
import { checkPort, joinHostPort, splitHostPort } from '../address.ts'
import { type Forward, parseDynamicForward, parseForward } from './forward-spec.ts'
import type { X11Options } from './x11.ts'

export const sshOptionSpecs: readonly OptionSpec[] = [
  { flags: '-l, --login <name>', description: 'login on the remote host (TELEPORT_LOGIN)' },
  { flags: '-p, --port <port>', description: 'SSH port of the remote host' },
  { flags: '-J, --jumphost <address>', description: 'go through another proxy of the cluster: HOST[:3023]' },
  { flags: '-t, --tty', description: 'allocate a terminal even for a command' },
  { flags: '-A, --forward-agent', description: 'forward the ssh-agent' },
  { flags: '-X, --x11-untrusted', description: 'show windows of the node here, with few rights on your display' },
  { flags: '-Y, --x11-trusted', description: 'show windows of the node here, with all rights on your display' },
  { flags: '-x, --no-x11', description: 'no windows of the node' },
  {
    flags: '--x11-untrusted-timeout <time>',
    description: 'with -X, how long new windows may be opened: 20m unless given, 0 for ever',
  },
  { flags: '-N, --no-remote-exec', description: 'run nothing; useful with forwards' },
  {
    flags: '-L, --forward <spec>',
    description: 'forward [bind:]port:host:port or sockets to the remote side',
    repeat: true,
  },
  {
    flags: '-R, --remote-forward <spec>',
    description: 'forward [bind:]port:host:port from the remote side',
    repeat: true,
  },
  { flags: '-D, --dynamic-forward <spec>', description: 'SOCKS proxy on [bind:]port', repeat: true },
  { flags: '-o, --option <option>', description: 'OpenSSH option Name=value (a known subset)', repeat: true },
  { flags: '-c, --cluster <name>', description: 'cluster of the host (TELEPORT_CLUSTER)' },
  { flags: '--local', description: 'run the command here, after the connection and its forwards stand' },
  { flags: '--log-dir <directory>', description: 'with a label selector: write the output of each host to a file' },
  { flags: '--trace', description: 'print the time of each step' },
]

export interface SshRequest {
  readonly host: string
  /** `label=value[,label=value…]` instead of a host. */
  readonly selector: ReadonlyMap<string, string> | undefined
  readonly login: string | undefined
  readonly port: number | undefined
  /** `host:port` of the proxy to go through instead of the one of the login. */
  readonly jumphost: string | undefined
  readonly tty: 'auto' | 'force' | 'never'
  readonly forwardAgent: boolean
  /** Undefined: no X11. */
  readonly x11: X11Options | undefined
  readonly noCommand: boolean
  readonly forwards: readonly Forward[]
  readonly exitOnForwardFailure: boolean
  readonly setEnv: readonly (readonly [string, string])[]
  /** Milliseconds. */
  readonly connectTimeoutMs: number
  readonly keepAliveMs: number
  readonly keepAliveMissed: number
  readonly escape: string | undefined
  readonly cluster: string | undefined
  readonly local: boolean
  readonly logDir: string | undefined
  readonly trace: boolean
  readonly command: string | undefined
  readonly commandWords: readonly string[]
}

interface OpenSshOptions {
  forwardAgent?: boolean
  x11?: boolean
  x11Trusted?: boolean
  x11TimeoutMs?: number
  requestTty?: 'auto' | 'force' | 'never'
  connectTimeoutMs?: number
  keepAliveMs?: number
  keepAliveMissed?: number
  port?: number
  login?: string
  escape?: string | undefined
  exitOnForwardFailure?: boolean
  readonly setEnv: [string, string][]
  readonly forwards: Forward[]
}

/** Puts options and arguments together. Throws BadParameter naming the offending one. */
export function sshRequest(values: OptionValues, args: readonly string[], env: NodeJS.ProcessEnv): SshRequest {
  const [destination, ...words] = args
  if (destination === undefined || destination === '') throw new BadParameter('host', 'tsh ssh needs [user@]host')
  const at = destination.lastIndexOf('@')
  const host = destination.slice(at + 1)
  const typedLogin = at > 0 ? destination.slice(0, at) : undefined
  const extra = readOpenSshOptions(values.list('option'))
  const selector = host.includes('=') ? parseSelector(host) : undefined
  if (selector === undefined) checkTarget(host)
  const port = values.string('port')
  const jumphost = values.string('jumphost')
  const login = typedLogin ?? values.string('login') ?? extra.login ?? nonEmpty(env.TELEPORT_LOGIN)
  if (login !== undefined) checkLogin(login)
  return {
    host,
    selector,
    login,
    port: port === undefined ? extra.port : checkPort(port, '--port'),
    jumphost: jumphost === undefined ? undefined : parseJumphost(jumphost),
    tty: values.flag('tty') ? 'force' : (extra.requestTty ?? 'auto'),
    forwardAgent: values.flag('forwardAgent') || (extra.forwardAgent ?? false),
    x11: x11Options(values, extra),
    noCommand: values.tristate('remoteExec') === false || values.flag('noRemoteExec'),
    forwards: [
      ...values.list('forward').map((text) => parseForward('local', text)),
      ...values.list('remoteForward').map((text) => parseForward('remote', text)),
      ...values.list('dynamicForward').map(parseDynamicForward),
      ...extra.forwards,
    ],
    exitOnForwardFailure: extra.exitOnForwardFailure ?? false,
    setEnv: extra.setEnv,
    connectTimeoutMs: extra.connectTimeoutMs ?? 30_000,
    keepAliveMs: extra.keepAliveMs ?? 60_000,
    keepAliveMissed: extra.keepAliveMissed ?? 3,
    escape: 'escape' in extra ? extra.escape : '~',
    cluster: values.string('cluster') ?? nonEmpty(env.TELEPORT_CLUSTER),
    local: values.flag('local'),
    logDir: values.string('logDir'),
    trace: values.flag('trace'),
    command: words.length === 0 ? undefined : words.join(' '),
    commandWords: words,
  }
}

/** As ForwardX11Timeout of OpenSSH. Milliseconds. */
const x11TimeoutMs = 20 * 60_000

function x11Options(values: OptionValues, extra: OpenSshOptions): X11Options | undefined {
  const trusted = values.flag('x11Trusted')
  const wanted = trusted || values.flag('x11Untrusted') || (extra.x11 ?? false)
  if (!wanted || values.tristate('x11') === false) return undefined
  const typed = values.string('x11UntrustedTimeout')
  const typedMs = typed === undefined ? undefined : parseDuration(typed, { name: '--x11-untrusted-timeout' })
  return {
    trusted: trusted || (!values.flag('x11Untrusted') && (extra.x11Trusted ?? false)),
    timeoutMs: typedMs ?? extra.x11TimeoutMs ?? x11TimeoutMs,
  }
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)

/** Names that reach the proxy: no leading dash, no spaces, nothing that a log or terminal would misread. */
function checkTarget(host: string): void {
  if (!/^(?!-)[A-Za-z0-9._:-]{1,253}$/.test(host)) {
    throw new BadParameter('host', `host: ${JSON.stringify(host)} is not a host name`)
  }
}

/** `HOST`, `HOST:PORT` or `[v6]:PORT`. Who logs in there is the certificate's business, so `user@` is refused. */
function parseJumphost(text: string): string {
  const { host, port } = splitHostPort(/:\d+$/.test(text) ? text : `${text}:3023`, '--jumphost')
  return joinHostPort(host, port)
}

function checkLogin(login: string): void {
  if (!/^(?!-)[^\s\p{Cc}/:@]{1,32}$/u.test(login)) {
    throw new BadParameter('login', `login: ${JSON.stringify(login)} is not a valid login name`)
  }
}

/** `env=prod,tier=db`. Throws BadParameter. */
export function parseSelector(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const part of text.split(',')) {
    const index = part.indexOf('=')
    if (index < 1 || index === part.length - 1) {
      throw new BadParameter('labels', `labels: ${JSON.stringify(part)} is not NAME=VALUE`)
    }
    found.set(checkName('label name', part.slice(0, index).trim()), part.slice(index + 1).trim())
  }
  return found
}

function readOpenSshOptions(options: readonly string[]): OpenSshOptions {
  const found: OpenSshOptions = { setEnv: [], forwards: [] }
  for (const text of options) {
    const match = /^\s*([A-Za-z][A-Za-z0-9]*)\s*(?:=|\s)\s*(.+?)\s*$/.exec(text)
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new BadParameter('-o', `-o: ${JSON.stringify(text)} is not Name=value`)
    }
    readOpenSshOption(found, match[1], match[2])
  }
  return found
}

function readOpenSshOption(found: OpenSshOptions, name: string, value: string): void {
  const yes = (): boolean => {
    if (value === 'yes') return true
    if (value === 'no') return false
    throw new BadParameter('-o', `-o ${name}: ${JSON.stringify(value)} is neither yes nor no`)
  }
  const number = (): number => {
    if (/^\d{1,6}$/.test(value)) return Number(value)
    throw new BadParameter('-o', `-o ${name}: ${JSON.stringify(value)} is not a number`)
  }
  switch (name.toLowerCase()) {
    case 'forwardagent':
      found.forwardAgent = yes()
      return
    case 'forwardx11':
      found.x11 = yes()
      return
    case 'forwardx11trusted':
      found.x11Trusted = yes()
      return
    case 'forwardx11timeout':
      found.x11TimeoutMs = parseDuration(value, { name: '-o ForwardX11Timeout', bare: 'seconds' })
      return
    case 'requesttty':
      found.requestTty = value === 'no' ? 'never' : value === 'auto' ? 'auto' : 'force'
      if (!['no', 'auto', 'yes', 'force'].includes(value)) yes()
      return
    case 'connecttimeout':
      found.connectTimeoutMs = number() * 1000
      return
    case 'serveraliveinterval':
      found.keepAliveMs = number() * 1000
      return
    case 'serveralivecountmax':
      found.keepAliveMissed = number()
      return
    case 'port':
      found.port = checkPort(value, '-o Port')
      return
    case 'user':
      found.login = value
      return
    case 'escapechar':
      if (value !== 'none' && value.length !== 1) throw new BadParameter('-o', '-o EscapeChar: one character, or none')
      found.escape = value === 'none' ? undefined : value
      return
    case 'exitonforwardfailure':
      found.exitOnForwardFailure = yes()
      return
    case 'setenv': {
      const index = value.indexOf('=')
      if (index < 1) throw new BadParameter('-o', `-o SetEnv: ${JSON.stringify(value)} is not NAME=value`)
      found.setEnv.push([value.slice(0, index), value.slice(index + 1)])
      return
    }
    case 'localforward':
      found.forwards.push(parseForward('local', value.replace(/\s+/, ':')))
      return
    case 'remoteforward':
      found.forwards.push(parseForward('remote', value.replace(/\s+/, ':')))
      return
    case 'dynamicforward':
      found.forwards.push(parseDynamicForward(value))
      return
    case 'stricthostkeychecking':
      if (value === 'no' || value === 'off' || value === 'accept-new') {
        throw new BadParameter(
          '-o',
          '-o StrictHostKeyChecking: tsh always checks host certificates; it cannot be turned off',
        )
      }
      return
    case 'batchmode':
    case 'loglevel':
    case 'addkeystoagent':
      return
    default:
      throw new BadParameter('-o', `-o ${name}: tsh does not know this option; use plain ssh with "tsh config" for it`)
  }
}
