/**
 * The program of the SFTP server: becomes the user named by its arguments, then serves standard input and output. Started by the
 * node, see `sftp-program.ts`. Its environment is the node's choice alone: nothing that a user can set reaches Node.js here.
 */

import { messageOf } from '../../errors/system.ts'
import { WireError } from '../../ssh/wire/reader.ts'
import { dropPrivileges } from './drop-privileges.ts'
import { Handles } from './handles.ts'
import { localNames } from './long-name.ts'
import { SftpServer } from './sftp-server.ts'

/** As OpenSSH's server leaves after a message that it cannot read. */
const badMessageStatus = 11

function main(): number {
  const [name = '', uid = '', gid = '', home = '/', directory = '/'] = process.argv.slice(2)
  if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid) || name === '') {
    process.stderr.write('sftp-server is started by the node; arguments: name uid gid home directory\n')
    return 2
  }
  // Failures are answers here, thousands of them: the traces would cost more than the work.
  Error.stackTraceLimit = 0
  dropPrivileges({ name, uid: Number(uid), gid: Number(gid) })
  enter(directory)
  const server = new SftpServer(0, 1, {
    handles: new Handles(),
    names: localNames(),
    home,
    nowMs,
  })
  server.run()
  return 0
}

/** With the user's rights, so a closed home stays closed. */
function enter(directory: string): void {
  try {
    process.chdir(directory)
  } catch {
    process.chdir('/')
  }
}

/** An entry point: the clock of `Env` would load cryptography that nothing here uses. */
const nowMs = (): number => Date.now()

function run(): number {
  try {
    return main()
  } catch (error) {
    process.stderr.write(`sftp-server: ${messageOf(error)}\n`)
    return error instanceof WireError ? badMessageStatus : 1
  }
}

process.exitCode = run()
