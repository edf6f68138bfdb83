/** A picture of one moment of a recording, fetched when it comes into sight. */

import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { Screen } from '../../../src/audit/recording/screen.ts'
import { useLostSession } from '../session.tsx'
import { type Listed, openRecording } from './calls.ts'
import { drawScreen } from './draw.ts'
import { FilmIcon } from './icons.tsx'
import { showAt } from './screen-at.ts'

/** Pictures that are made at a time. */
const atOnce = 2
let running = 0
const waiting: (() => void)[] = []

async function inTurn<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  while (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
  running++
  try {
    // Whoever is not wanted any more hands the turn on.
    signal.throwIfAborted()
    return await work()
  } finally {
    running--
    waiting.shift()?.()
  }
}

/** Where a screen tells what a session was about: not its greeting, and not its empty end. */
export const tellingMoment = (recording: Pick<Listed, 'durationMs' | 'matches'>): number =>
  recording.matches?.[0]?.atMs ?? Math.round(recording.durationMs * 0.7)

async function takePicture(recording: Listed, atMs: number, signal: AbortSignal): Promise<Blob | null> {
  return await inTurn(async () => {
    const source = openRecording(recording, 'thumbnail')
    const screen = new Screen(recording.columns, recording.rows)
    try {
      // What is printed in the same moment belongs to it.
      await showAt(source.from(atMs, signal), screen, atMs + 50)
      const canvas = document.createElement('canvas')
      drawScreen(canvas, screen)
      return await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'))
    } finally {
      screen.dispose()
      await source.close()
    }
  }, signal)
}

export function Thumbnail({ recording }: { recording: Listed }) {
  const place = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const [isSeen, setSeen] = useState(false)
  const atMs = tellingMoment(recording)
  const picture = useQuery({
    queryKey: ['thumbnail', recording.sid, atMs],
    queryFn: ({ signal }) => takePicture(recording, atMs, signal),
    enabled: isSeen && recording.chunks > 0,
    // A moment that is recorded stays as it is, and each look at it would be one more line in the audit log.
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    refetchOnWindowFocus: false,
  })
  useLostSession(picture.error)
  useEffect(() => {
    const element = place.current
    if (element === null) return
    const observer = new IntersectionObserver((seen) => {
      if (seen.some(({ isIntersecting }) => isIntersecting)) setSeen(true)
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const blob = picture.data
  useEffect(() => {
    const target = canvas.current
    if (target === null || blob === undefined || blob === null) return
    void createImageBitmap(blob).then((image) => {
      target.width = image.width
      target.height = image.height
      target.getContext('2d')?.drawImage(image, 0, 0)
    })
  }, [blob])
  return (
    <div className="thumbnail" ref={place} aria-hidden="true" data-state={picture.isSuccess ? 'there' : undefined}>
      {blob === undefined || blob === null ? <FilmIcon size={28} /> : <canvas ref={canvas} />}
    </div>
  )
}
