/** Why something did not work, where the library has not been loaded, and perhaps cannot be: the network may be what is in trouble. */

import { text } from './text.ts'

export const Trouble = ({ error, retry }: { error: Error; retry(): unknown }) => (
  <div className="trouble" role="alert">
    <strong>{text.failed}</strong>
    <p className="small said">{error.message}</p>
    <button type="button" className="button" onClick={() => void retry()}>
      <span>{text.retry}</span>
    </button>
  </div>
)
