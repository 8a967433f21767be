// Calendar times as unix seconds, without the host's Date: the proleptic Gregorian calendar in UTC.

import { KithError } from '../core/errors.ts';

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

function badTime(why: string): never {
  throw new KithError('bad-time', why);
}

/** Unix seconds of a moment in UTC. @throws KithError `bad-time` for a moment no calendar has. */
export function unixSeconds(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number {
  const days = month === 2 && isLeap(year) ? 29 : MONTH_DAYS[month - 1];
  if (days === undefined || day < 1 || day > days) badTime('no such day');
  if (hour > 23 || minute > 59 || second > 59) badTime('no such time of day');
  // Leap days in the years before this one, since year 1; 1970-01-01 is day 719,162.
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  const dayOfYear = DAYS_BEFORE_MONTH[month - 1]! + (month > 2 && isLeap(year) ? 1 : 0) + day - 1;
  return ((before * 365 + leapDays + dayOfYear - 719_162) * 24 + hour) * 3600 + minute * 60 + second;
}

/** Unix seconds of `YYYY-MM-DDThh:mm:ssZ`, the one form Intel's JSON documents use. @throws KithError `bad-time`. */
export function parseIsoTime(text: string): number {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/.exec(text);
  if (!match) badTime('a time must have the form YYYY-MM-DDThh:mm:ssZ');
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return unixSeconds(year, month, day, hour, minute, second);
}

/** `YYYY-MM-DDThh:mm:ssZ` of unix seconds from 1970 to 9999. */
export function formatIsoTime(seconds: number): string {
  let days = Math.floor(seconds / 86_400);
  const rest = seconds - days * 86_400;
  let year = 1970;
  for (let length = 365; days >= length; length = isLeap(year) ? 366 : 365) {
    days -= length;
    year++;
  }
  let month = 1;
  for (; month < 12; month++) {
    const length = month === 2 && isLeap(year) ? 29 : MONTH_DAYS[month - 1]!;
    if (days < length) break;
    days -= length;
  }
  const two = (value: number) => String(value).padStart(2, '0');
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(days + 1)}`;
  return `${date}T${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}Z`;
}
