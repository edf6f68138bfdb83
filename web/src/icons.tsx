/** The few drawings of the page. All of them only decorate: what they mean stands beside them in words. */

import type { ReactNode } from 'react'

export const Icon = ({ size = 18, children }: { size?: number; children: ReactNode }) => (
  <svg
    width={size}
    height={size}
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    strokeWidth="1.8"
    strokeLinecap="round"
    strokeLinejoin="round"
    aria-hidden="true"
  >
    {children}
  </svg>
)

export const ShieldIcon = ({ size = 26 }: { size?: number }) => (
  <Icon size={size}>
    <path d="M12 2.8 4.5 6v5.4c0 4.6 3.1 8.2 7.5 9.8 4.4-1.6 7.5-5.2 7.5-9.8V6z" />
    <path d="m8.6 9.4 2.6 2.6-2.6 2.6M12.6 14.8h3" />
  </Icon>
)
export const SearchIcon = () => (
  <Icon>
    <circle cx="11" cy="11" r="6.5" />
    <path d="m16 16 4.5 4.5" />
  </Icon>
)
export const ChevronIcon = () => (
  <Icon size={14}>
    <path d="m6 9 6 6 6-6" />
  </Icon>
)
export const CopyIcon = () => (
  <Icon size={16}>
    <rect x="8" y="8" width="12" height="12" rx="2" />
    <path d="M16 8V5a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v10a1 1 0 0 0 1 1h3" />
  </Icon>
)
export const TerminalIcon = () => (
  <Icon size={16}>
    <path d="m5 7 5 5-5 5M12.5 17H19" />
  </Icon>
)
export const CloseIcon = ({ size = 14 }: { size?: number }) => (
  <Icon size={size}>
    <path d="M6 6l12 12M18 6 6 18" />
  </Icon>
)
export const UserIcon = () => (
  <Icon>
    <circle cx="12" cy="8" r="3.6" />
    <path d="M4.8 20c1-3.6 3.8-5.4 7.2-5.4s6.200 1.800 7.200 5.400" />
  </Icon>
)
export const GearIcon = () => (
  <Icon size={16}>
    <path d="M4 7h9M17 7h3M4 17h3M11 17h9" />
    <circle cx="15" cy="7" r="2" />
    <circle cx="9" cy="17" r="2" />
  </Icon>
)
export const ServerIcon = ({ size = 40 }: { size?: number }) => (
  <Icon size={size}>
    <rect x="4" y="4" width="16" height="7" rx="2" />
    <rect x="4" y="13" width="16" height="7" rx="2" />
    <path d="M8 7.500h.01M8 16.500h.01" />
  </Icon>
)
export const SplitIcon = () => (
  <Icon size={16}>
    <rect x="4" y="5" width="16" height="14" rx="2" />
    <path d="M12 5v14" />
  </Icon>
)
export const FilesIcon = () => (
  <Icon size={16}>
    <path d="M8 4v12M4.500 7.500 8 4l3.500 3.500M16 20V8M12.500 16.500 16 20l3.500-3.500" />
  </Icon>
)
