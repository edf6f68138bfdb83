/** Who else is in the session that one looks at. */

import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { auth, type routes } from '../api.ts'
import { words } from '../text/terminal.ts'

/** Milliseconds. */
const askEvery = 10_000

/** A session that has just begun is not in the listing yet. */
const firstAsk = 3_000

export function PartyNames({ sid, user }: { sid: string; user: string }) {
  const [asked, setAsked] = useState<string>()
  useEffect(() => {
    const timer = setTimeout(() => setAsked(sid), firstAsk)
    return () => clearTimeout(timer)
  }, [sid])
  const { data } = useQuery({
    queryKey: ['session', user, sid],
    queryFn: ({ signal }) =>
      auth<typeof routes.getSession>('GET /v1/sessions/:sid', { params: { sid } }, { signal, background: true }),
    refetchInterval: askEvery,
    enabled: asked === sid,
    retry: false,
  })
  const others = (data?.parties ?? []).filter((party) => party.user !== user || party.mode !== 'peer')
  if (others.length === 0) return null
  return (
    <Text size="xs" className="parties" aria-live="polite">
      {words.parties} {others.map((party) => words.party(party.user, party.mode)).join(', ')}
    </Text>
  )
}
