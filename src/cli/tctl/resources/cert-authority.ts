/** `kind: cert_authority` */

import { authorityResource } from '../../../api/authority-resource.ts'
import { exportAuthorities, listAuthorities } from '../../../api/routes.ts'
import { NotFound } from '../../../errors/errors.ts'
import { fingerprintSha256 } from '../../../ssh/keys/public-key.ts'
import { publicKeyOfLine } from '../../tsh/keys.ts'
import type { ResourceKind } from './types.ts'

export const certAuthority: ResourceKind = {
  headings: ['Cluster Name', 'CA Type', 'Fingerprint', 'Role Map'],
  async list(api, name, { withSecrets }) {
    const { items } = await api.call(listAuthorities)
    const [type, cluster] = name === undefined ? [] : name.split('/')
    const chosen = items.filter(
      (item) => (type === undefined || item.type === type) && (cluster === undefined || item.clusterName === cluster),
    )
    if (chosen.length === 0) throw new NotFound(`cert_authority ${JSON.stringify(name)} is not found`)
    const secrets = withSecrets ? (await api.call(exportAuthorities)).items : []
    return chosen.map((item) => ({
      value: authorityResource(item, secrets.find((each) => each.type === item.type)?.key),
      rows: [
        [
          item.clusterName,
          item.type,
          item.keys.map((key) => fingerprintSha256(publicKeyOfLine(key, 'authority'))).join(' '),
          'N/A',
        ],
      ],
    }))
  },
  parse: 'authorities come into a new cluster only; see teleport start --bootstrap',
  remove: 'without its authorities nobody and nothing could log in; tctl auth rotate replaces them',
}
