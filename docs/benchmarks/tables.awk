# Tables to measure with; the same arguments make the same bytes with every awk:
#   awk -v kind=points -v n=4000000 -f tables.awk > points
# points: id, x and y, about 64 middles    pages: page, no rank yet, 8 links    pairs: two names, in groups of 1000
# sales: 1000 groups, a whole number, a price, a note; with commas between
function next_number() { return x = (x * 16807) % 2147483647 }
function share() { return next_number() / 2147483647 }
function near(middle) { return middle * 1000 + next_number() % 30000 / 100 + next_number() % 30000 / 100 }
BEGIN {
  x = 42; OFS = "\t"
  for (i = 0; i < n; i++) {
    if (kind == "points") {
      middle = next_number() % 64
      printf "%d\t%.2f\t%.2f\n", i, near(middle % 8), near((middle - middle % 8) / 8)
    } else if (kind == "pages") {
      links = ""
      for (j = 0; j < 8; j++) { s = share(); links = links (j ? " " : "") "p" int(n * s * s * s) }
      print "p" i, "", links
    } else if (kind == "pairs") {
      print "n" i, "n" (i - next_number() % (i % 1000 + 1))
    } else if (kind == "sales") {
      group = next_number() % 1000; cents = next_number() % 1000000
      printf "g%d,%d,%d.%02d,note-%d\n", group, cents, cents % 5000, next_number() % 100, x
    }
  }
}
