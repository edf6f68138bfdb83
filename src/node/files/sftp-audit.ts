/** What the SFTP inspector tells, as audit events. */

import { SftpInspector } from '../../ssh/sftp/inspector.ts'
import type { FileEvent } from '../../ssh/sftp/inspector-types.ts'
import type { Attributes } from '../../ssh/sftp/types.ts'
import type { CopyInspector, EventPush, FileOpened, SessionEventFields } from './copy-types.ts'

/** `directory`: where the server starts, absolute. */
export function auditedSftp(
  push: EventPush,
  opened: FileOpened,
  fields: SessionEventFields,
  directory: string,
): CopyInspector {
  const inspector = new SftpInspector({
    directory,
    onEvent: (event) => push(auditEvent(fields, event), 'file' in event ? event.file : undefined),
    onOpen: ({ number, path, writes }) =>
      opened(number, {
        event: writes ? 'sftp.write' : 'sftp.read',
        action: writes ? 'upload' : 'download',
        path,
      }),
    onProblem: (error) => push({ event: 'sftp.open', ...fields, path: '', size: 0, success: false, error }),
  })
  return {
    fromClient: (chunk) => inspector.fromClient(chunk),
    fromProgram: (chunk) => inspector.fromServer(chunk),
    get isBusy() {
      return inspector.isBusy
    },
    finish: () => inspector.finish(),
  }
}

function auditEvent(fields: SessionEventFields, event: FileEvent): Parameters<EventPush>[0] {
  const { path, error } = event
  const common = { ...fields, path, success: error === undefined, ...(error === undefined ? {} : { error }) }
  switch (event.kind) {
    case 'open':
      return { event: 'sftp.open', ...common, size: 0, ...modeField(event.mode) }
    case 'read':
      return { event: 'sftp.read', ...common, ...transferFields(event) }
    case 'write':
      return { event: 'sftp.write', ...common, ...transferFields(event) }
    case 'setstat':
      return { event: 'sftp.setstat', ...common, attributes: describe(event.attributes) }
    case 'opendir':
    case 'remove':
    case 'mkdir':
    case 'rmdir':
      return { event: `sftp.${event.kind}`, ...common }
    case 'rename':
    case 'symlink':
    case 'link':
      return { event: `sftp.${event.kind}`, ...common, target: event.target }
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
