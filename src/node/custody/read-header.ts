// Store headers as custody reads them.

import { isKithError } from '../../core/errors.ts';
import type { ClusterId } from '../../core/ids.ts';
import type { ReadHeader } from '../../keyserver/index.ts';
import { readHeader } from '../store/index.ts';

/** Reads headers of one cluster; those of others, and what is none, are undefined. */
export const headerReader =
  (clusterId: ClusterId): ReadHeader =>
  (bytes) => {
    try {
      const header = readHeader(bytes);
      if (header.clusterId !== clusterId) return undefined;
      return { ...header, keyServers: header.keyServers.map(({ nodeId }) => nodeId), signatureValid: true };
    } catch (error) {
      if (isKithError(error)) return undefined;
      throw error;
    }
  };
