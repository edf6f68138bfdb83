/** Files to and from the server of the terminal in use: a button and a drop send, a path fetches, and what is on its way is shown. */

import { ActionIcon, Button, FileButton, Group, Popover, Progress, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { CloseIcon, FilesIcon } from '../icons.tsx'
import { words } from '../text/terminal.ts'
import { download, forget, type Place, type Transfer, upload, useTransfers } from './transfers.ts'

/** Opened by a drop, it leaves the focus in the terminal. */
export type FilesShown = 'no' | 'asked' | 'dropped'

export function Files(props: { place: Place; shown: FilesShown; onShow(shown: FilesShown): void }) {
  const { place, shown, onShow } = props
  const transfers = useTransfers()
  const [directory, setDirectory] = useState('')
  const [path, setPath] = useState('')
  const running = transfers.filter(({ state }) => state === 'running').length
  return (
    <Popover
      position="bottom-end"
      width={340}
      shadow="md"
      opened={shown !== 'no'}
      onChange={(opened) => onShow(opened ? 'asked' : 'no')}
      trapFocus={shown === 'asked'}
    >
      <Popover.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={words.files(running)}
          className="quiet files-button"
          onClick={() => onShow(shown === 'no' ? 'asked' : 'no')}
        >
          <FilesIcon />
          {transfers.length === 0 ? null : <span className="bell" />}
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="sm">
          <Text size="sm" fw={600}>
            {words.filesOf(`${place.login}@${place.hostname}`)}
          </Text>
          <TextInput
            size="xs"
            label={words.directory}
            placeholder={words.home}
            value={directory}
            onChange={(event) => setDirectory(event.currentTarget.value)}
            spellCheck={false}
          />
          <Group gap="sm">
            <FileButton
              multiple
              onChange={(files) => {
                for (const file of files) upload(place, directory, file)
              }}
            >
              {(props) => (
                <Button {...props} size="xs">
                  {words.send}
                </Button>
              )}
            </FileButton>
            <Text size="xs" c="dimmed">
              {words.dropHint}
            </Text>
          </Group>
          <form
            onSubmit={(event) => {
              event.preventDefault()
              if (path.trim() !== '') download(place, path.trim())
            }}
          >
            <Group gap="sm" align="end" wrap="nowrap">
              <TextInput
                size="xs"
                flex={1}
                label={words.path}
                value={path}
                onChange={(event) => setPath(event.currentTarget.value)}
                spellCheck={false}
              />
              <Button type="submit" size="xs">
                {words.fetch}
              </Button>
            </Group>
          </form>
          {transfers.length === 0 ? null : (
            <ul className="transfers" aria-label={words.transfers}>
              {transfers.map((transfer) => (
                <Row key={transfer.id} transfer={transfer} />
              ))}
            </ul>
          )}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}

function Row({ transfer }: { transfer: Transfer }) {
  const { name, where, bytes, size, state, message } = transfer
  const percent = size === undefined ? 0 : size === 0 ? 100 : Math.floor((bytes / size) * 100)
  return (
    <li>
      <Group gap="xs" wrap="nowrap" justify="space-between">
        <Text size="xs" className="transfer-name" title={`${name} · ${where}`}>
          {name}
        </Text>
        <Text size="xs" c="dimmed" className="latency">
          {state === 'running' ? words.percent(percent) : words.states[state]}
        </Text>
        <ActionIcon
          size="sm"
          variant="subtle"
          color="gray"
          className="quiet"
          aria-label={state === 'running' ? words.cancel(name) : words.forget(name)}
          onClick={() => (state === 'running' ? transfer.cancel() : forget(transfer.id))}
        >
          <CloseIcon size={11} />
        </ActionIcon>
      </Group>
      {state === 'running' ? <Progress size="sm" value={percent} aria-label={words.progressOf(name)} /> : null}
      {message === undefined ? null : (
        <Text
          size="xs"
          {...(state === 'cancelled'
            ? { role: 'status', c: 'dimmed' }
            : { role: 'alert', c: 'red', className: 'refusal' })}
        >
          {message}
        </Text>
      )}
      {state === 'exists' ? (
        <Button
          size="compact-xs"
          variant="default"
          mt={4}
          onClick={() => {
            forget(transfer.id)
            transfer.replace?.()
          }}
        >
          {words.replace}
        </Button>
      ) : null}
    </li>
  )
}
