// A map that forgets what was used least recently.

export interface BoundedCache<T> {
  /** What is known under `key`, else what `make` returns, which is then kept. A throwing `make` leaves no trace. */
  get(key: string, make: () => T): T;
}

export function createBoundedCache<T>(entriesMax: number): BoundedCache<T> {
  // A Map iterates in the order of insertion: the first key is the oldest.
  const entries = new Map<string, { value: T }>();
  return {
    get(key, make) {
      const known = entries.get(key) ?? { value: make() };
      entries.delete(key);
      entries.set(key, known);
      if (entries.size > entriesMax) entries.delete(entries.keys().next().value!);
      return known.value;
    },
  };
}
