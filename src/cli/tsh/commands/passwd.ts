/** `tsh passwd`: a user's own new password, with the old one and the second factor. */

import { userInfo } from 'node:os'
import { ping, webChangePassword, webPasswordCeremony } from '../../../api/web.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { ask } from '../../common/prompt.ts'
import type { CommandRun } from '../../common/spec.ts'
import { checkName } from '../address.ts'
import { wantedFrom } from '../login-state.ts'
import { loadProfile } from '../profile.ts'
import { tshHome } from '../store.ts'
import { callWeb } from '../web-client.ts'
import { askProof, warnInsecure, webTarget } from './login.ts'

export const passwd: CommandRun = async ({ options }) => {
  const wanted = wantedFrom(options)
  const home = tshHome()
  const target = webTarget(wanted, home)
  warnInsecure(target)
  const about = await callWeb(target, ping)
  const user = checkName(wanted.user ?? loadProfile(home, target.host)?.user ?? userInfo().username, 'user')
  const password = await ask(`Enter the present password of Teleport user ${user}:\n`, { hidden: true })
  const { otp, ceremony } = await askProof(about.auth.secondFactor, target, {
    ...{ user, password, settings: wanted.mfa, recovery: false },
    start: (callback) => callWeb(target, webPasswordCeremony, { user, password, callback }),
  })
  const newPassword = await ask('Enter the new password:\n', { hidden: true })
  if ((await ask('The same password again:\n', { hidden: true })) !== newPassword)
    throw new BadParameter('password', 'the two passwords differ; nothing was changed')
  await callWeb(target, webChangePassword, { user, password, newPassword, otp, ceremony })
  process.stdout.write('The password has been changed. Certificates that you have stay good.\n')
  return 0
}
