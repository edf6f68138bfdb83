/** What the quickstart tells its user to type, line by line. */

import { relative } from 'node:path'
import type { Config } from '../../config/types.ts'
import { printable } from '../common/printable.ts'
import { shellQuote } from '../tsh/commands/env.ts'
import type { QuickstartUser } from './user.ts'

export interface StepsInput {
  readonly root: string
  readonly directory: string
  readonly config: Config
  readonly user: QuickstartUser
}

export function nextSteps({ root, directory, config, user }: StepsInput): string {
  const web = config.proxy.publicAddrs[0] ?? config.proxy.webListenAddr
  const proxy = `${web.host}:${web.port}`
  const node = config.nodename
  const fqdn = `${node}.${config.auth.clusterName}`
  const sshConfig = shellQuote(`${directory}/ssh_config`)
  const here = relative(process.cwd(), directory)
  const steps = [
    ...(user.inviteUrl === undefined
      ? []
      : [
          step('choose a password and scan the code with an authenticator app', [
            `tsh signup --insecure ${printable(user.inviteUrl)}`,
          ]),
        ]),
    step('log in', [`tsh login --insecure --proxy=${proxy} --user=${user.name}`]),
    step('look around', ['tsh status', 'tsh ls']),
    step('open a shell, run a command', [`tsh ssh ${user.login}@${node}`, `tsh ssh ${user.login}@${node} uptime`]),
    step('the same with plain OpenSSH, host certificates checked on both hops', [
      `tsh config > ${sshConfig}`,
      `ssh -F ${sshConfig} ${user.login}@${fqdn}`,
    ]),
    step('copy a file, and see it in the audit log', [
      `tsh scp README.md ${user.login}@${node}:/tmp/`,
      `tctl -c ${shellQuote(`${directory}/teleport.yaml`)} audit ls --type=sftp.write`,
    ]),
    step('replay what was recorded; from another terminal, watch or join what goes on', [
      'tsh recordings ls',
      'tsh play ID',
      'tsh sessions ls',
      'tsh join ID',
    ]),
    step('administrate', [
      `tctl -c ${shellQuote(`${directory}/teleport.yaml`)} status`,
      `tctl -c ${shellQuote(`${directory}/teleport.yaml`)} users ls`,
      `tctl -c ${shellQuote(`${directory}/teleport.yaml`)} audit verify`,
    ]),
  ]
  // The proxy's own name; the token of the link is hexadecimal.
  const browser =
    user.inviteUrl === undefined
      ? `https://${proxy}/web   servers, shells, recordings, the audit log`
      : `${printable(user.inviteUrl)}   choose a password, then log in: servers, shells, recordings, the audit log`
  return `
The cluster is running. Everything is below ${here === '' || here.startsWith('..') ? directory : `./${here}`}; remove that directory to forget it.

In a browser, which warns once, because the certificate is self-signed:

  ${browser}

Or in another terminal:

  export PATH=${shellQuote(`${root}/bin`)}:$PATH TELEPORT_HOME=${shellQuote(`${directory}/tsh`)}

${steps.map((text, index) => `  # ${index + 1}. ${text}`).join('\n\n')}

Without a phone, "oathtool -b --totp SECRET" makes the codes (Debian package oathtool); each code is good for one use.
Ctrl-C stops the cluster; the next "npm run quickstart" goes on with the same data.
`
}

const step = (what: string, lines: readonly string[]): string => [what, ...lines.map((line) => `  ${line}`)].join('\n')
