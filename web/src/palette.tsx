/** Ctrl+K: everywhere one can go and everything one can do, by a few letters and without a mouse. Loaded when it is first opened. */

import { Modal, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useId, useState } from 'react'
import { listNodes, may, type WebState } from './api.ts'
import { type Entry, matching } from './palette-entries.ts'
import { places } from './places.ts'
import { useLastUser, useLostSession } from './session.tsx'
import { openTerminal } from './terminal/tabs.ts'
import { text } from './text.ts'
import './palette.css'

const words = text.palette
const maxServers = 8

export function Palette(props: { state: WebState; actions: readonly Entry[]; onClose(): void }) {
  const { actions, onClose } = props
  const state = useLastUser(props.state)
  const navigate = useNavigate()
  const [search, setSearch] = useState('')
  const [settled] = useDebouncedValue(search, 120)
  const [at, setAt] = useState(0)
  const list = useId()
  const user = state.user?.name ?? ''
  const { data, error } = useQuery({
    queryKey: ['nodes', user, 'palette', settled],
    queryFn: ({ signal }) => listNodes({ search: settled, labels: [] }, undefined, signal),
    placeholderData: keepPreviousData,
    enabled: user !== '',
  })
  useLostSession(error)
  const servers = (data?.items ?? []).slice(0, maxServers).flatMap((node): Entry[] =>
    node.logins.map((login) => ({
      name: `${login}@${node.hostname}`,
      group: words.servers,
      run: () => {
        openTerminal({ node: node.uuid, hostname: node.hostname, login })
        void navigate({ to: '/web/terminal' })
      },
    })),
  )
  const goTo = places
    .filter(({ needs }) => needs === undefined || may(state.user, needs))
    .map(({ to, name }): Entry => ({ name, group: words.places, run: () => void navigate({ to }) }))
  const account: Entry = {
    name: text.nav.account,
    group: words.places,
    run: () => void navigate({ to: '/web/account' }),
  }
  // The proxy has searched the servers already, in their labels too.
  const entries = [...matching([...goTo, account, ...actions], search), ...servers]
  const chosen = Math.min(at, entries.length - 1)
  const run = (entry: Entry | undefined) => {
    if (entry === undefined) return
    onClose()
    entry.run()
  }
  const move = (by: number) => setAt((chosen + by + entries.length) % Math.max(1, entries.length))
  return (
    <Modal
      opened
      onClose={onClose}
      withCloseButton={false}
      title={undefined}
      aria-label={words.title}
      yOffset="12vh"
      padding={0}
    >
      <TextInput
        size="md"
        variant="unstyled"
        px="md"
        aria-label={words.title}
        placeholder={words.hint}
        value={search}
        role="combobox"
        aria-expanded="true"
        aria-controls={list}
        aria-autocomplete="list"
        {...(entries.length === 0 ? {} : { 'aria-activedescendant': `${list}-${chosen}` })}
        data-autofocus
        spellCheck={false}
        onChange={(event) => {
          setSearch(event.currentTarget.value)
          setAt(0)
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') move(1)
          else if (event.key === 'ArrowUp') move(-1)
          else if (event.key === 'Enter') run(entries[chosen])
          else return
          event.preventDefault()
        }}
      />
      <div id={list} role="listbox" aria-label={words.title} className="palette">
        {entries.map((entry, index) => (
          // The keys are the text field's.
          // biome-ignore lint/a11y/useKeyWithClickEvents: arrows and Enter are heard in the text field
          <div
            key={`${entry.group} ${entry.name}`}
            id={`${list}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            className={index === chosen ? 'entry chosen' : 'entry'}
            ref={(element) => {
              if (index === chosen) element?.scrollIntoView({ block: 'nearest' })
            }}
            onMouseMove={() => setAt(index)}
            onClick={() => run(entry)}
          >
            <span>{entry.name}</span>
            <span className="group">{entry.group}</span>
          </div>
        ))}
      </div>
      {entries.length > 0 ? null : (
        <Text c="dimmed" size="sm" p="md" role="status">
          {words.nothing}
        </Text>
      )}
    </Modal>
  )
}
