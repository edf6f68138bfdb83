import { expect, test } from 'vitest'
import { copyCommand } from './copy-command.ts'

const scp = { kind: 'scp', direction: 'upload', recursive: false, intoDirectory: false, paths: ['x'] }

test.each([
  { command: 'scp -t x', is: scp },
  { command: '/usr/bin/scp -v -r -p -d -t -- x', is: { ...scp, recursive: true, intoDirectory: true } },
  { command: 'scp -rpt x', is: { ...scp, recursive: true } },
  { command: 'scp -f -- \'a b\' c\\ d "e \\"f"', is: { ...scp, direction: 'download', paths: ['a b', 'c d', 'e "f'] } },
  { command: "LC_ALL=C 'scp' -t x; echo done", is: scp },
  { command: 'scp -F file -oBatchMode=yes a host:b', is: undefined },
  { command: 'scp -i -t a host:b', is: undefined },
  { command: 'scp a b', is: undefined },
  { command: 'echo scp -t x', is: undefined },
  { command: '/usr/lib/openssh/sftp-server -e', is: { kind: 'sftp' } },
  { command: 'rsync --server -vlogDtpre.iLsfxCIvu . x', is: { kind: 'rsync' } },
  { command: 'rsync a b', is: undefined },
  { command: '', is: undefined },
  { command: "scp -t 'unclosed", is: { ...scp, paths: ['unclosed'] } },
])('$command', ({ command, is }) => expect(copyCommand(command)).toEqual(is))
