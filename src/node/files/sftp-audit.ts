/** What the SFTP inspector tells, as audit events. */

import type { EventInput } from '../../audit/events.ts'
import { SftpInspector } from '../../ssh/sftp/inspector.ts'
import type { FileEvent } from '../../ssh/sftp/inspector-types.ts'
import type { Attributes } from '../../ssh/sftp/types.ts'
import type { SessionEventFields } from './copy-session.ts'
import type { EventQueue } from './event-queue.ts'

/** `directory`: where the server starts, absolute. */
export function auditedSftp(queue: EventQueue, fields: SessionEventFields, directory: string): SftpInspector {
  return new SftpInspector({
    directory,
    onEvent: (event) => pushEvent(queue, fields, event),
    onProblem: (reason) => queue.push({ event: 'sftp.open', ...fields, path: '', size: 0, success: false, error: reason }),
  })
}

function pushEvent(queue: EventQueue, fields: SessionEventFields, event: FileEvent): void {
  const { path, error } = event
  const common = { ...fields, path, success: error === undefined, ...(error === undefined ? {} : { error }) }
  switch (event.kind) {
    case 'open':
      queue.push({ event: 'sftp.open', ...common, size: 0, ...modeField(event.mode) })
      return
    case 'read':
      queue.push({ event: 'sftp.read', ...common, ...transferFields(event) })
      return
    case 'write':
      queue.push({ event: 'sftp.write', ...common, ...transferFields(event) })
      return
    case 'setstat':
      queue.push({ event: 'sftp.setstat', ...common, attributes: describe(event.attributes) })
      return
    case 'opendir':
    case 'remove':
    case 'mkdir':
    case 'rmdir':
      queue.push({ event: `sftp.${event.kind}`, ...common } satisfies EventInput<
        'sftp.opendir' | 'sftp.remove' | 'sftp.mkdir' | 'sftp.rmdir'
      >)
      return
    case 'rename':
    case 'symlink':
    case 'link':
      queue.push({ event: `sftp.${event.kind}`, ...common, target: event.target } satisfies EventInput<
        'sftp.rename' | 'sftp.symlink' | 'sftp.link'
      >)
  }
}

function transferFields({ size, sha256, mode }: Extract<FileEvent, { kind: 'read' | 'write' }>) {
  return { size, ...(sha256 === undefined ? { partial: true } : { sha256 }), ...modeField(mode) }
}

const modeField = (mode: number | undefined): { readonly mode?: string } =>
  mode === undefined ? {} : { mode: octal(mode) }

const octal = (mode: number): string => `0${(mode & 0o7777).toString(8).padStart(3, '0')}`

function describe({ size, owner, permissions, times }: Attributes): Readonly<Record<string, unknown>> {
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString()
  return {
    // As text: the largest is beyond what JSON numbers hold.
    ...(size === undefined ? {} : { size: size.toString() }),
    ...(owner === undefined ? {} : owner),
    ...(permissions === undefined ? {} : { mode: octal(permissions) }),
    ...(times === undefined ? {} : { atime: time(times.atime), mtime: time(times.mtime) }),
  }
}
