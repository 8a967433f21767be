// Who is on the machine itself.

/** Whether an address is this machine's own, as Node writes it. */
export const isLoopback = (address: string): boolean => address === '::1' || /^(::ffff:)?127\./.test(address);
