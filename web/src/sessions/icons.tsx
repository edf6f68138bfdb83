/** Drawings of the sessions. */

import { Icon } from '../icons.tsx'

export const PeopleIcon = ({ size = 16 }: { size?: number }) => (
  <Icon size={size}>
    <circle cx="9" cy="8.500" r="3.200" />
    <path d="M3 19.500c.8-3.400 3.200-5 6-5s5.200 1.600 6 5" />
    <path d="M15.500 5.700a3.200 3.200 0 0 1 0 5.600M17.500 14.900c1.900.7 3.100 2.300 3.500 4.600" />
  </Icon>
)
