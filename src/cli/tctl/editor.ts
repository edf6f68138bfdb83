/** A person's own editor on a text in a private file, which stays until it is not needed any more. */

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SystemError } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'

/** Bytes that come back from the editor at most. */
const maxBytes = 1_048_576

export interface EditedFile {
  readonly path: string
  /** Opens the editor and resolves with the text when it is closed. Throws SystemError when it fails. */
  edit(): Promise<string>
  /** Writes something beside it, and returns the path. */
  beside(suffix: string, text: string): Promise<string>
  remove(): Promise<void>
}

/** `name` becomes a part of the file's name as far as it may. */
export async function editFile(name: string, text: string): Promise<EditedFile> {
  const directory = await mkdtemp(join(tmpdir(), 'tctl-edit-')).catch((error: unknown) => {
    throw convertSystemError(error, 'make a directory for the text to edit')
  })
  const path = join(directory, `${name.replaceAll(/[^A-Za-z0-9_.@-]/g, '_').slice(0, 100)}.yaml`)
  const write = (to: string, content: string) => writeFile(to, content, { mode: 0o600, flag: 'w' })
  await write(path, text)
  return {
    path,
    async edit() {
      await runEditor(path)
      const content = await readFile(path).catch((error: unknown) => {
        throw convertSystemError(error, `read what the editor left in ${path}`)
      })
      if (content.length > maxBytes) throw new SystemError('EFBIG', `${path} is larger than ${maxBytes} bytes`)
      return content.toString('utf8')
    },
    async beside(suffix, content) {
      const other = `${path}.${suffix}`
      await write(other, content)
      return other
    },
    remove: () => rm(dirname(path), { recursive: true, force: true }),
  }
}

/** What VISUAL or EDITOR say may hold options (`code --wait`), so a shell reads it, as for git. */
function runEditor(path: string): Promise<void> {
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi'
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const child = spawn('sh', ['-c', `${editor} "$@"`, editor, path], { stdio: 'inherit' })
  // Ctrl-C is the editor's.
  const ignore = () => undefined
  process.on('SIGINT', ignore)
  child.once('error', (error) => reject(convertSystemError(error, `start the editor ${editor}`)))
  child.once('close', (code, signal) => {
    process.off('SIGINT', ignore)
    if (code === 0) resolve()
    else reject(new SystemError('ECHILD', `the editor ${editor} ended with ${signal ?? `exit status ${code}`}`))
  })
  return promise
}
