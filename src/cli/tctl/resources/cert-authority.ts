/** `kind: cert_authority` */

import { listAuthorities } from '../../../api/routes.ts'
import { BadParameter, NotFound } from '../../../errors/errors.ts'
import { fingerprintSha256 } from '../../../ssh/keys/public-key.ts'
import { publicKeyOfLine } from '../../tsh/keys.ts'
import type { ResourceKind } from './types.ts'

export const certAuthority: ResourceKind = {
  headings: ['Cluster Name', 'CA Type', 'Fingerprint', 'Role Map'],
  async list(api, name, { withSecrets }) {
    if (withSecrets) throw new BadParameter('--with-secrets', 'private keys never leave the auth service')
    const { items } = await api.call(listAuthorities)
    const [type, cluster] = name === undefined ? [] : name.split('/')
    const chosen = items.filter(
      (item) => (type === undefined || item.type === type) && (cluster === undefined || item.clusterName === cluster),
    )
    if (chosen.length === 0) throw new NotFound(`cert_authority ${JSON.stringify(name)} is not found`)
    return chosen.map((item) => ({
      value: {
        kind: 'cert_authority',
        sub_kind: item.type,
        version: 'v2',
        metadata: { name: item.clusterName },
        spec: { type: item.type, cluster_name: item.clusterName, checking_keys: item.keys },
      },
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
