/**
 * `tsh config`: the block after which plain `ssh user@node.CLUSTER` works with strict host checking. Everything that the inner
 * connection to the proxy needs stands on its command line, so that the block works with `ssh -F` too.
 */

import { BadParameter } from '../../../errors/errors.ts'
import { errorLine } from '../../common/exit.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'
import { checkHost, checkName, checkPort } from '../address.ts'
import { connectProxy } from '../connect.ts'
import { type ActiveLogin, activeLogin, sshProxy, wantedFrom } from '../login-state.ts'
import { loginPaths } from '../profile.ts'
import { tshHome } from '../store.ts'

export interface ConfigBlock {
  readonly proxyHost: string
  readonly sshHost: string
  readonly sshPort: number
  readonly cluster: string
  readonly user: string
  readonly knownHosts: string
  readonly key: string
  readonly certificate: string
  /** Of a proof of a second factor; tried first, and not there most of the time. */
  readonly mfaCertificate: string
  readonly port: number
  /** A name of the proxy's certificate, where the address that the user typed is not one. */
  readonly alias?: string
}

/** A path inside double quotes of ssh_config, which has no way to write these characters there, and expands `%` and `${`. */
function configPath(path: string): string {
  if (/["\\\n\r]|\$\{/.test(path))
    throw new BadParameter('path', `${JSON.stringify(path)} cannot be written in an OpenSSH configuration`)
  return path.replaceAll('%', '%%')
}

/** `-o NAME=PATH` of the inner ssh, for the shell that runs ProxyCommand; the outer ssh expands `%` once more before that. */
function commandOption(name: string, path: string): string {
  const inner = configPath(path)
  const outer = inner.replaceAll('%', '%%')
  if (/^[A-Za-z0-9_./:@,+%-]+$/.test(outer)) return `-o ${name}=${outer}`
  return `-o '${name}="${outer.replaceAll("'", `'\\''`)}"'`
}

/** The text. Throws BadParameter for names and paths that could break out of it. */
export function configText(block: ConfigBlock): string {
  const cluster = checkName(block.cluster, 'cluster')
  const host = checkHost(block.sshHost, 'proxy')
  const user = checkName(block.user, 'user')
  const inner = [
    'ssh -F none -a -x -T',
    '-o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o GlobalKnownHostsFile=none -o IdentitiesOnly=yes',
    commandOption('UserKnownHostsFile', block.knownHosts),
    commandOption('IdentityFile', block.key),
    commandOption('CertificateFile', block.certificate),
    ...(block.alias === undefined ? [] : [`-o HostKeyAlias=${checkHost(block.alias, 'proxy')}`]),
    `-p ${block.sshPort} -l ${user}`,
    // Old versions of ssh take a host name with a shell in it (CVE-2023-51385); the quotes keep the most of it from running.
    `${host} -s 'proxy:%h:%p@${cluster}'`,
  ]
  return `#
# Begin generated Teleport configuration for ${block.proxyHost} from \`tsh config\`
#
Host *.${cluster}
    Port ${block.port}
    UserKnownHostsFile "${configPath(block.knownHosts)}"
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
    UpdateHostKeys no
    IdentityFile "${configPath(block.key)}"
    CertificateFile "${configPath(block.mfaCertificate)}"
    CertificateFile "${configPath(block.certificate)}"
    IdentitiesOnly yes
    ProxyCommand ${inner.join(' ')}
# End generated Teleport configuration
`
}

export const config: CommandRun = async ({ options }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  if (login.fromFile)
    throw new BadParameter(
      '-i',
      'tsh config needs a login in ~/.tsh; for an identity file use: tctl auth sign --format=openssh',
    )
  const { profile } = login
  const paths = loginPaths(tshHome(), profile.proxyHost, profile.user)
  const proxy = sshProxy(profile)
  const port = options.string('port')
  const alias = await proxyAlias(login, proxy.host)
  process.stdout.write(
    configText({
      proxyHost: printable(profile.proxyHost),
      sshHost: proxy.host,
      sshPort: proxy.port,
      cluster: profile.cluster,
      user: profile.user,
      knownHosts: paths.knownHosts,
      key: paths.key,
      certificate: paths.certificate,
      mfaCertificate: paths.mfaCertificate,
      port: port === undefined ? 3022 : checkPort(port, '--port'),
      ...(alias === undefined ? {} : { alias }),
    }),
  )
  return 0
}

/**
 * OpenSSH compares the proxy's certificate with the name it dials. A proxy that is reached by an address it does not know of
 * (a forwarded port, a new DNS name) is asked for a name that its certificate has.
 */
async function proxyAlias(login: ActiveLogin, host: string): Promise<string | undefined> {
  try {
    const client = await connectProxy(login, { timeoutMs: 5000 })
    void client.close()
    const principals = client.hostKey.certificate?.principals ?? []
    if (principals.includes(host)) return undefined
    return principals.find((name) => name.endsWith(`.${login.profile.cluster}`))
  } catch (error) {
    process.stderr.write(`tsh: warning: the proxy was not asked for its name: ${errorLine(error)}\n`)
    return undefined
  }
}
