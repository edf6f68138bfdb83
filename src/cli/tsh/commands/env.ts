/** `tsh env`: the login as shell variables. */

import { NotFound } from '../../../errors/errors.ts'
import type { CommandRun } from '../../common/spec.ts'
import { wantedFrom, wantedProfile } from '../login-state.ts'

/** Single quotes, so that a shell takes nothing in it for more than text. */
export const shellQuote = (text: string): string =>
  /^[A-Za-z0-9_./:@,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

export const env: CommandRun = async ({ options }) => {
  if (options.flag('unset')) {
    process.stdout.write('unset TELEPORT_PROXY\nunset TELEPORT_CLUSTER\nunset TELEPORT_USER\n')
    return 0
  }
  const profile = wantedProfile(wantedFrom(options))
  if (profile === undefined) throw new NotFound('not logged in; log in with: tsh login --proxy=HOST')
  process.stdout.write(`export TELEPORT_PROXY=${shellQuote(profile.webProxyAddress)}\n`)
  process.stdout.write(`export TELEPORT_CLUSTER=${shellQuote(profile.cluster)}\n`)
  process.stdout.write(`export TELEPORT_USER=${shellQuote(profile.user)}\n`)
  return 0
}
