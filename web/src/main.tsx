/** Starts the page. */

// First: style sheets that are made while the rest loads need it.
import './style-nonce.ts'
import './mantine.css'
import 'virtual:theme.css'
import './style.css'
import { StrictMode, startTransition } from 'react'
import { createRoot } from 'react-dom/client'
import { App, begin } from './app.tsx'

const place = document.getElementById('root')
if (place !== null) {
  const draw = () =>
    createRoot(place).render(
      <StrictMode>
        <App />
      </StrictMode>,
    )
  // In pieces, between which the browser answers.
  void begin().then(() => startTransition(draw))
}
