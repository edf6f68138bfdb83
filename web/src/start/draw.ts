/** The part of the page that draws: the largest. */
export { startTransition } from 'react'
export { createRoot } from 'react-dom/client'
