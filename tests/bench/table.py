"""table.py - rows as text: Markdown that can be read as it is."""
import datetime
import os
import re


def number(v):
    """Three digits are enough."""
    if v is None:
        return ''
    if v >= 100:
        return '%.0f' % v
    return '%.3g' % v


def lines_of(cells):
    """Columns under each other."""
    width = [max(len(r[i]) for r in cells) for i in range(len(cells[0]))]
    out = ['| %s |' % ' | '.join(c.ljust(w) for c, w in zip(r, width))
           for r in cells]
    out.insert(1, '|%s|' % '|'.join('-' * (w + 2) for w in width))
    return out


def verdict(row):
    """The bars of a row, and whether all of them are met."""
    bars, met = [], []
    for against, limit, ratio, ok in row.verdicts():
        if limit is None:
            bars.append('%s: %s' % (against, 'yes' if ok else 'NO'))
        elif ratio is None:
            bars.append('%g of %s: not measured' % (limit, against))
        else:
            bars.append('%g of %s: %.2f' % (limit, against, ratio))
        met.append(ok)
    if not met:
        return '', ''
    word = 'LOST' if False in met else '?' if None in met else 'met'
    return '; '.join(bars), word


def between(ratio, row, peer):
    """The ratio of ours to a peer's, its spread, and of how many rounds."""
    if ratio is None:
        return ''
    rounds = len(row.ratios(peer))
    return ' (%.2f, %.2f-%.2f%s)' % (*ratio, '; %d' % rounds if rounds < len(
        row.values[row.ours]) else '')


def group_table(rows):
    """One table of the rows of one group."""
    peers = list(dict.fromkeys(p for r in rows for p in r.peers()))
    cells = [['row', 'unit', 'ours'] + peers + ['bar', '']]
    for r in rows:
        line = [r.name, r.unit, number(r.median(r.ours))]
        for p in peers:
            ratio = r.ratio(p)
            line.append('' if r.median(p) is None else
                        number(r.median(p)) + between(ratio, r, p))
        cells.append(line + list(verdict(r)))
    return lines_of(cells)


def machine():
    """What the figures were taken on."""
    with open('/etc/os-release') as f:
        name = re.search('^PRETTY_NAME="(.*)"', f.read(), re.M)
    return '%d cores, %s' % (os.cpu_count(), name[1] if name else 'Linux')


def render(rows, result):
    """All of it."""
    out = ['%d records, %d rounds, %s, %s; took %d s.' % (
        result['records'], result['rounds'], machine(),
        datetime.date.today().isoformat(), result['took_s']), '']
    if result['invalid']:
        out += ['**This run is invalid**, for peers were slower than they '
                'are: ' + '; '.join(result['invalid']) + '.', '']
    out += ['A cell is the median and, in brackets, the ratio of ours to it: '
            'the median, the lowest and the highest of the rounds (of more '
            'than ten, the quartiles), and how many rounds a slow one took '
            'part in. Under 1 is ahead.', '']
    for group in dict.fromkeys(r.group for r in rows):
        mine = [r for r in rows if r.group == group]
        out += ['#### ' + group, ''] + group_table(mine) + ['']
        notes = ['- %s: %s' % (r.name, n) for r in mine for n in r.notes]
        out += notes + [''] * bool(notes)
    lost = [r for r in rows if verdict(r)[1] == 'LOST']
    out += ['Rows with a bar: %d, lost: %d%s.' % (
        sum(1 for r in rows if verdict(r)[1]), len(lost),
        ''.join('\n- %s, %s: %s' % (r.group, r.name, verdict(r)[0])
                for r in lost)), '']
    out += ['#### How each was set', '']
    out += ['- **%s**: %s' % kv for kv in result['settings'].items()]
    return '\n'.join(out) + '\n'


def into_readme(path, text, mark='table'):
    """Put the text between the marks of that name."""
    begin, end = '<!-- %s -->\n' % mark, '<!-- end of %s -->' % mark
    head, rest = path.read_text().split(begin, 1)
    path.write_text(head + begin + text + end + rest.split(end, 1)[1])
