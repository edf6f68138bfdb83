/** `tsh play`: shows a recording, from the cluster or from a file. */

import { type TextFormat, textFormats } from '../../../audit/recording/play/formats.ts'
import type { PlaySource } from '../../../audit/recording/play/source.ts'
import { BadParameter } from '../../../errors/errors.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { withAuthApi } from '../auth-api.ts'
import { activeLogin, wantedFrom } from '../login-state.ts'
import { openFileSource } from '../play/file-source.ts'
import { openServerSource } from '../play/server-source.ts'
import { parseAt, parseSpeed, sessionOf } from '../play/target.ts'
import { writeRecording } from '../play/write-recording.ts'

export const play: CommandRun = async ({ options, args }) => {
  const [target = ''] = args
  const format = formatOf(options)
  const follow = options.flag('follow')
  const interactive = {
    speed: parseSpeed(options.string('speed') ?? '1'),
    skipIdle: options.flag('skipIdleTime'),
    // Who follows begins with what is there now.
    atMs:
      follow && options.string('at') === undefined ? Number.POSITIVE_INFINITY : parseAt(options.string('at') ?? '0'),
  }
  const show = async (source: PlaySource): Promise<number> => {
    try {
      if (format !== undefined) return await writeRecording(source, format, process.stdout)
      const { playOnTerminal } = await import('../play/tty.ts')
      return await playOnTerminal({ source, ...interactive })
    } finally {
      await source.close()
    }
  }
  const sid = sessionOf(target)
  if (sid === undefined) {
    if (follow) throw new BadParameter('--follow', '--follow is for a session that is still open')
    const source = await openFileSource(target)
    if (format === undefined) source.scan()
    return await show(source)
  }
  const login = activeLogin(wantedFrom(options), new Date())
  const action = format === undefined ? 'play' : 'text'
  return await withAuthApi(login, async (api) => await show(await openServerSource({ api, sid, action, follow })))
}

/** Undefined for the player. */
function formatOf(options: OptionValues): TextFormat | undefined {
  const given = options.string('format')
  const format = textFormats.find((each) => each === given) ?? (process.stdout.isTTY ? undefined : 'text')
  const useless = ['at', 'speed', 'skipIdleTime'].find((name) => options.string(name) ?? options.flag(name))
  if (format !== undefined && useless !== undefined) {
    const flag = { at: '--at', speed: '--speed' }[useless] ?? '--skip-idle-time'
    throw new BadParameter(flag, `${flag} is for playing on a terminal; with --format or into a file all is written`)
  }
  return format
}
