/** `tsh signup URL`: what the web page behind an invite or reset link does, in a terminal. */

import { webAcceptInvite, webGetInvite } from '../../../api/web.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { printable } from '../../common/printable.ts'
import { askFor } from '../../common/prompt.ts'
import type { CommandRun } from '../../common/spec.ts'
import { checkHost, checkPort } from '../address.ts'
import { defaultWebPort, wantedFrom } from '../login-state.ts'
import { readCode } from '../mfa/prove.ts'
import { callWeb, type WebTarget } from '../web-client.ts'
import { showRecoveryCodes, showSecret } from './mfa.ts'

/** Host, port and secret of an invite or reset link. Throws BadParameter without repeating the secret. */
export function parseInviteUrl(text: string): { readonly host: string; readonly port: number; readonly token: string } {
  const bad = new BadParameter('url', 'url: not an invite link of the form https://PROXY:3080/web/invite/…')
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw bad
  }
  const token = /^\/web\/(?:invite|reset|newuser)\/([A-Za-z0-9_-]{16,256})\/?$/.exec(url.pathname)?.[1]
  if (url.protocol !== 'https:' || token === undefined || url.username !== '' || url.password !== '') throw bad
  const host = checkHost(url.hostname.replace(/^\[|\]$/g, ''), 'url')
  // A link without a port means 443 to a browser, and so it does here.
  const port = url.port === '' ? 443 : checkPort(url.port, 'url')
  return { host, port, token }
}

export const signup: CommandRun = async ({ options, args }) => {
  const { host, port, token } = parseInviteUrl(args[0] ?? '')
  const target: WebTarget = { host, port, insecure: wantedFrom(options).insecure }
  if (target.insecure) {
    process.stderr.write(
      'WARNING: the HTTPS certificate of the proxy is not verified (--insecure). Use this for tests only.\n',
    )
  }
  const invite = await callWeb(target, webGetInvite, { token })
  const what = invite.kind === 'invite' ? 'Sign up' : 'Set a new password'
  process.stderr.write(`${what} as ${printable(invite.user)} in the cluster ${printable(invite.clusterName)}.\n`)
  if (invite.otp === undefined && invite.webauthn && invite.secondFactor !== 'optional') {
    throw new BadParameter('url', 'this cluster takes security keys only: open the link in a browser')
  }
  const password = await askPassword(invite.minPasswordLength)
  let otp: string | undefined
  if (invite.otp !== undefined) {
    await showSecret(invite.otp)
    const optional = invite.secondFactor === 'optional'
    const question = optional ? 'Code from the app (empty for none):\n' : 'Code from the app:\n'
    otp = await askFor(question, { hidden: false, optional }, (text) => readCode(text, optional))
  }
  const { recoveryCodes } = await callWeb(target, webAcceptInvite, {
    token,
    password,
    ...(otp === undefined ? {} : { otp }),
  })
  if (recoveryCodes !== undefined) showRecoveryCodes(recoveryCodes)
  const proxy = port === defaultWebPort ? host : `${host}:${port}`
  const insecure = target.insecure ? ' --insecure' : ''
  process.stdout.write(
    `Done. Log in with:\n\n  tsh login --proxy=${proxy} --user=${printable(invite.user)}${insecure}\n`,
  )
  return 0
}

async function askPassword(minimum: number): Promise<string> {
  const hidden = { hidden: true }
  const password = await askFor(`New password (at least ${minimum} characters):\n`, hidden, (answer) => {
    if ([...answer].length >= minimum) return answer
    throw new BadParameter('password', `the password has fewer than ${minimum} characters; nothing was changed`)
  })
  return await askFor('The same password again:\n', hidden, (again) => {
    if (again === password) return password
    throw new BadParameter('password', 'the two passwords differ; nothing was changed')
  })
}
