/** Who is logged in, asked now and then; renewed while somebody is there. */

import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { getState, isLoggedOut, renew, type WebState } from './api.ts'

/** Milliseconds. */
const askEvery = 60_000
const renewEvery = 10 * 60_000

export const stateKey = ['state'] as const

export const stateQuery = queryOptions({
  queryKey: stateKey,
  queryFn: ({ client }) => getState(client.getQueryData(stateKey) !== undefined),
  staleTime: askEvery,
})

export const useAppState = () => useQuery({ ...stateQuery, refetchInterval: askEvery, refetchOnWindowFocus: 'always' })

/** With whoever was here last: while their session is over, the login is in front, and what was being changed stays behind it. */
export function useLastUser(present: WebState): WebState {
  const [user, setUser] = useState(present.user)
  if (present.user !== undefined && present.user !== user) setUser(present.user)
  return present.user === undefined && user !== undefined ? { ...present, user } : present
}

/** A 401 of any call means that nobody is logged in any more. */
export function useLostSession(error: unknown): void {
  const client = useQueryClient()
  const lost = isLoggedOut(error)
  useEffect(() => {
    if (lost) void client.invalidateQueries({ queryKey: stateKey })
  }, [lost, client])
}

/** Another cookie every ten minutes in which a key or the pointer was used. */
export function useRenewal(isLoggedIn: boolean): void {
  const client = useQueryClient()
  const used = useRef(false)
  useEffect(() => {
    if (!isLoggedIn) return
    const mark = () => {
      used.current = true
    }
    window.addEventListener('keydown', mark, true)
    window.addEventListener('pointerdown', mark, true)
    const timer = setInterval(() => {
      if (!used.current) return
      used.current = false
      renew().then(
        () => client.invalidateQueries({ queryKey: stateKey }),
        () => undefined,
      )
    }, renewEvery)
    return () => {
      clearInterval(timer)
      window.removeEventListener('keydown', mark, true)
      window.removeEventListener('pointerdown', mark, true)
    }
  }, [isLoggedIn, client])
}
