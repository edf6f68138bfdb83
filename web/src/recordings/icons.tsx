/** Drawings of the player. */

import { Icon } from '../icons.tsx'

export const PlayIcon = ({ size = 18 }: { size?: number }) => (
  <Icon size={size}>
    <path d="M7 4.500v15l12-7.500z" fill="currentColor" />
  </Icon>
)
export const PauseIcon = () => (
  <Icon>
    <path d="M8.500 5v14M15.500 5v14" strokeWidth="3" />
  </Icon>
)
export const BackIcon = () => (
  <Icon>
    <path d="M4.500 5v5h5" />
    <path d="M5.500 15.500a7.500 7.500 0 1 0 .300-7L4.500 10" />
  </Icon>
)
export const AheadIcon = () => (
  <Icon>
    <path d="M19.500 5v5h-5" />
    <path d="M18.500 15.500a7.500 7.500 0 1 1-.300-7l1.300 1.500" />
  </Icon>
)
export const FullScreenIcon = () => (
  <Icon>
    <path d="M4.500 9V4.500H9M15 4.500h4.500V9M19.500 15v4.500H15M9 19.500H4.500V15" />
  </Icon>
)
export const DownloadIcon = () => (
  <Icon>
    <path d="M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14" />
  </Icon>
)
export const LinkIcon = () => (
  <Icon>
    <path d="M10 14a4 4 0 0 0 5.700.300l3-3a4 4 0 0 0-5.700-5.700l-1.200 1.200" />
    <path d="M14 10a4 4 0 0 0-5.700-.300l-3 3a4 4 0 0 0 5.700 5.700l1.200-1.200" />
  </Icon>
)
export const FilmIcon = ({ size = 40 }: { size?: number }) => (
  <Icon size={size}>
    <rect x="3.500" y="5" width="17" height="14" rx="2.500" />
    <path d="m10 9 5 3-5 3z" />
  </Icon>
)
