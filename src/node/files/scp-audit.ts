/** What the scp inspector tells, as audit events: names of the protocol become paths of this machine. */

import { stat } from 'node:fs/promises'
import { posix } from 'node:path'
import type { ScpCommand } from './copy-command.ts'
import type { CopyInspector, EventPush, FileOpened, SessionEventFields } from './copy-types.ts'
import { ScpInspector } from './scp-inspector.ts'

export interface ScpFacts {
  readonly command: ScpCommand
  /** Where the command starts. */
  readonly home: string
}

export function auditedScp(
  push: EventPush,
  opened: FileOpened,
  fields: SessionEventFields,
  { command, home }: ScpFacts,
): CopyInspector {
  const paths = new ScpPaths(command, home)
  const common = { event: 'scp', ...fields, action: command.direction } as const
  const failed = (path: string, error: string): void => push({ ...common, path, size: 0, success: false, error })
  const inspector = new ScpInspector({
    pathOf: (directories, name) => paths.of(directories, name),
    onStart: ({ number, path }) => opened(number, { event: 'scp', action: command.direction, path }),
    onFile: ({ number, path, size, sha256, mode, error }) =>
      push(
        {
          ...common,
          path,
          size,
          ...(sha256 === undefined ? { partial: true } : { sha256 }),
          ...(mode === undefined ? {} : { mode }),
          success: error === undefined,
          ...(error === undefined ? {} : { error }),
        },
        number,
      ),
    onProblem: (error) => failed(paths.base, error),
    // What the client could not send never reached this machine.
    onSourceError: (error) => {
      if (command.direction === 'download') failed(paths.base, error)
    },
  })
  const upload = command.direction === 'upload'
  return {
    fromClient: (chunk) => (upload ? inspector.fromSource(chunk) : inspector.fromSink(chunk)),
    fromProgram: (chunk) => (upload ? inspector.fromSink(chunk) : inspector.fromSource(chunk)),
    isBusy: false,
    finish: () => inspector.finish(),
  }
}

/** scp itself decides where a file goes, by looking at the target; this looks too, which is right unless both look at different moments. */
class ScpPaths {
  readonly #command: ScpCommand
  readonly #home: string
  #intoDirectory: boolean
  /** The target of an upload; of a download the only path, or none. */
  readonly base: string

  constructor(command: ScpCommand, home: string) {
    this.#command = command
    this.#home = home
    const { paths, direction } = command
    this.#intoDirectory = command.intoDirectory
    const [path] = direction === 'upload' ? paths.slice(-1) : paths
    this.base = direction === 'upload' || paths.length === 1 ? this.#resolve(path ?? '.') : ''
    if (direction === 'upload' && !this.#intoDirectory) {
      stat(this.base).then(
        (found) => {
          this.#intoDirectory = found.isDirectory()
        },
        () => {},
      )
    }
  }

  of(directories: readonly string[], name: string): string {
    const parts = [...directories, name]
    if (this.#command.direction === 'upload') {
      return posix.join(this.base, ...(this.#intoDirectory ? parts : parts.slice(1)))
    }
    const [first = ''] = parts
    const { paths } = this.#command
    const asked = paths.find((path) => posix.basename(path) === first) ?? paths[0] ?? '.'
    const path = this.#resolve(asked)
    return first === '.' || first === '..'
      ? posix.join(path, ...parts.slice(1))
      : posix.join(posix.dirname(path), ...parts)
  }

  #resolve(path: string): string {
    const expanded = path === '~' || path.startsWith('~/') ? `${this.#home}${path.slice(1)}` : path
    return posix.resolve(this.#home, expanded)
  }
}
