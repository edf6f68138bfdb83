/** The heads of the tables whose rows end with what can be done with them. */

import { adminText } from '../text/admin.ts'

export const TableHead = ({ names }: { names: readonly string[] }) => (
  <thead>
    <tr>
      {names.map((name) => (
        <th scope="col" key={name}>
          {name}
        </th>
      ))}
      <th scope="col">
        <span className="visually-hidden">{adminText.actions}</span>
      </th>
    </tr>
  </thead>
)
