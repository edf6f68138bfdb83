/** The options of `tsh scp`, and what they and its words mean together. */

import { BadParameter } from '../../../errors/errors.ts'
import { type OptionSpec, OptionValues } from '../../common/spec.ts'
import { type SshRequest, sshRequest } from '../ssh/options.ts'
import { type LocalPlace, type Place, parsePlace, type RemotePlace } from './location.ts'

export const scpOptionSpecs: readonly OptionSpec[] = [
  { flags: '-r, --recursive', description: 'copy directories with all that is in them' },
  { flags: '-p, --preserve', description: 'keep modes and times' },
  { flags: '-q, --quiet', description: 'no progress' },
  { flags: '-P, --port <port>', description: 'SSH port of the remote host' },
  { flags: '-l, --login <name>', description: 'login on the remote host (TELEPORT_LOGIN)' },
  { flags: '-J, --jumphost <address>', description: 'go through another proxy of the cluster: HOST[:3023]' },
  { flags: '-o, --option <option>', description: 'OpenSSH option Name=value (a known subset)', repeat: true },
  { flags: '-c, --cluster <name>', description: 'cluster of the hosts (TELEPORT_CLUSTER)' },
  { flags: '--trace', description: 'print the time of each step' },
]

/** A file on a node, with how to get there. */
export interface RemoteEnd {
  readonly kind: 'remote'
  readonly request: SshRequest
  readonly path: string
  /** The same for all places of one login on one node. */
  readonly key: string
}

export type End = LocalPlace | RemoteEnd

export interface ScpRequest {
  readonly sources: readonly End[]
  readonly target: End
  readonly recursive: boolean
  readonly preserve: boolean
  readonly quiet: boolean
}

/** Throws BadParameter naming what is wrong. */
export function scpRequest(values: OptionValues, args: readonly string[], env: NodeJS.ProcessEnv): ScpRequest {
  const ends = args.map((word) => endOf(parsePlace(word), values, env))
  const target = ends.at(-1)
  if (target === undefined || ends.length < 2) throw new BadParameter('target', 'tsh scp needs SOURCE… and TARGET')
  if (ends.every((end) => end.kind === 'local'))
    throw new BadParameter('target', 'neither source nor target is on a node: write HOST:PATH, or use cp')
  return {
    sources: ends.slice(0, -1),
    target,
    recursive: values.flag('recursive'),
    preserve: values.flag('preserve'),
    quiet: values.flag('quiet'),
  }
}

function endOf(place: Place, values: OptionValues, env: NodeJS.ProcessEnv): End {
  if (place.kind === 'local') {
    if (place.path === '') throw new BadParameter('path', 'an empty word is no path')
    return place
  }
  const request = sshRequest(ofPlace(values, place), [place.host], env)
  if (request.selector !== undefined)
    throw new BadParameter(
      'host',
      `host: ${JSON.stringify(place.host)} is a selector; tsh scp needs the name of one node`,
    )
  return { kind: 'remote', request, path: place.path, key: `${request.login ?? ''}@${place.host}:${request.port ?? 0}` }
}

/** The options, with what the place itself says before them. */
function ofPlace(values: OptionValues, { login, port }: RemotePlace): OptionValues {
  const found = new Map<string, unknown>()
  const put = (name: string, value: unknown) => {
    if (value !== undefined) found.set(name, value)
  }
  put('login', login ?? values.string('login'))
  put('port', port ?? values.string('port'))
  for (const name of ['jumphost', 'cluster']) put(name, values.string(name))
  put('option', values.list('option'))
  if (values.flag('trace')) found.set('trace', true)
  return new OptionValues(found)
}
