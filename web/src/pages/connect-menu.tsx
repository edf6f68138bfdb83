/** As whom one connects, and the commands for the same. Loaded when it is first opened. */

import { Menu } from '@mantine/core'
import { type ReactElement, useState } from 'react'
import type { WebNode, WebState } from '../api.ts'
import { CopyIcon, TerminalIcon } from '../icons.tsx'
import { text } from '../text.ts'

const words = text.nodes

export function ConnectMenu(props: {
  button: ReactElement
  node: WebNode
  state: WebState
  onOpen(login: string): void
}) {
  const { button, node, state, onOpen } = props
  const [first = ''] = node.logins
  return (
    <Menu position="bottom-end" width={230} shadow="md" withinPortal defaultOpened>
      <Menu.Target>{button}</Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{words.loginAs}</Menu.Label>
        {node.logins.map((login) => (
          <Menu.Item key={login} leftSection={<TerminalIcon />} onClick={() => onOpen(login)}>
            {login}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <CopyItem name={words.copyTsh} value={`tsh ssh ${quoted(`${first}@${node.hostname}`)}`} />
        <CopyItem name={words.copySsh} value={`ssh ${quoted(`${first}@${node.hostname}.${state.clusterName}`)}`} />
      </Menu.Dropdown>
    </Menu>
  )
}

/** A server chooses its name: what a shell would read as more than a word is quoted before anybody pastes it. */
const quoted = (word: string): string => (/^[\w.@:-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

function CopyItem({ name, value }: { name: string; value: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <Menu.Item
      leftSection={<CopyIcon />}
      closeMenuOnClick={false}
      onClick={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}
      title={value}
    >
      {copied ? words.copied : name}
    </Menu.Item>
  )
}
