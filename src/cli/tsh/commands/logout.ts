/** `tsh logout`: nothing that could log in is left on disk or in the ssh-agent. */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandRun } from '../../common/spec.ts'
import { parseProxyAddress } from '../address.ts'
import { removeFromAgent } from '../local-agent.ts'
import { wantedFrom } from '../login-state.ts'
import { listProfiles, removeLogin, removeProfile } from '../profile.ts'
import { tshHome } from '../store.ts'

export const logout: CommandRun = async ({ options }) => {
  const wanted = wantedFrom(options)
  const home = tshHome()
  const host = options.string('proxy') === undefined ? undefined : parseProxyAddress(options.string('proxy') ?? '').host
  const profiles = listProfiles(home).filter(
    (profile) =>
      (host === undefined || profile.proxyHost === host) &&
      (options.string('user') === undefined || profile.user === wanted.user),
  )
  for (const profile of profiles) {
    // The agent first: should it fail, the files are still there to be logged out with.
    await removeFromAgent(profile.user)
    removeLogin(home, profile)
    removeProfile(home, profile)
    rmSync(join(home, 'keys', profile.proxyHost), { recursive: true, force: true })
  }
  const whose = host === undefined ? 'all users' : `all users of ${host}`
  process.stdout.write(profiles.length === 0 ? 'All users logged out already.\n' : `Logged out ${whose}.\n`)
  return 0
}
