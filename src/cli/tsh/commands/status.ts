/** `tsh status`: the stored logins, read from disk alone. */

import { formatDuration } from '../../../common/durations.ts'
import { KindError } from '../../../errors/errors.ts'
import { errorLine } from '../../common/exit.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'
import { listExtension, validBefore } from '../keys.ts'
import { type ActiveLogin, activeLogin, openLogin, wantedFrom } from '../login-state.ts'
import { currentProfile, listProfiles, loadLogin } from '../profile.ts'
import { tshHome } from '../store.ts'

export const status: CommandRun = async ({ options }) => {
  const now = new Date()
  const home = tshHome()
  const wanted = wantedFrom(options)
  let logins: readonly ActiveLogin[]
  let current: string | undefined
  if (wanted.identityFile !== undefined) {
    const login = activeLogin(wanted, now, home)
    logins = [login]
    current = login.profile.proxyHost
  } else {
    current = currentProfile(home)
    logins = listProfiles(home).flatMap((profile) => readable(home, profile))
  }
  const active = logins.find((login) => login.profile.proxyHost === current)
  const others = logins.filter((login) => login !== active)
  const value = {
    active: active === undefined ? null : describe(active, now),
    profiles: others.map((login) => describe(login, now)),
  }
  await print(options.string('format'), value, () => {
    const blocks = [
      ...(active === undefined ? [] : [loginBlock(active, now, true)]),
      ...others.map((login) => loginBlock(login, now, false)),
    ]
    return blocks.length === 0 ? 'Not logged in.\n' : blocks.join('\n')
  })
  return active === undefined || validBefore(active.certificate) <= now ? 1 : 0
}

function readable(home: string, profile: Parameters<typeof loadLogin>[1]): readonly ActiveLogin[] {
  try {
    const stored = loadLogin(home, profile)
    return stored === undefined ? [] : [openLogin(stored, false)]
  } catch (error) {
    if (!(error instanceof KindError)) throw error
    process.stderr.write(`tsh: ${profile.proxyHost}: ${errorLine(error)}\n`)
    return []
  }
}

const known = new Set(['permit-agent-forwarding', 'permit-port-forwarding', 'permit-pty', 'permit-X11-forwarding'])

function describe(login: ActiveLogin, now: Date) {
  const { profile, certificate } = login
  const until = validBefore(certificate)
  return {
    profileUrl: `https://${profile.webProxyAddress}`,
    user: profile.user,
    cluster: profile.cluster,
    roles: listExtension(certificate, 'teleport-roles'),
    logins: certificate.principals.filter((name) => !name.startsWith('-')),
    validUntil: until.toISOString(),
    expired: until <= now,
    extensions: [...certificate.extensions.keys()].filter((name) => known.has(name)).sort(),
  }
}

/** The block that `tsh login` and `tsh status` print. */
export function loginBlock(login: ActiveLogin, now: Date, active: boolean): string {
  const about = describe(login, now)
  const left = Math.round((Date.parse(about.validUntil) - now.getTime()) / 60_000) * 60_000
  const until = `${about.validUntil.slice(0, 10)} ${about.validUntil.slice(11, 19)} +0000 UTC`
  const validity = about.expired ? '[EXPIRED]' : `[valid for ${formatDuration(left)}]`
  const rows: readonly (readonly [string, string])[] = [
    ['Profile URL:', about.profileUrl],
    ['Logged in as:', about.user],
    ['Cluster:', about.cluster],
    ['Roles:', about.roles.join(', ')],
    ['Logins:', about.logins.join(', ')],
    ['Valid until:', `${until} ${validity}`],
    ['Extensions:', about.extensions.join(', ')],
  ]
  return rows
    .map(([name, text], index) =>
      `${index === 0 && active ? '> ' : '  '}${name.padEnd(20)}${printable(text)}`.trimEnd(),
    )
    .join('\n')
    .concat('\n')
}
