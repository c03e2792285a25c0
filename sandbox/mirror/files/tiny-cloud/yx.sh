#!/bin/sh
# Stand-in for yx, which reads a value out of YAML: yx -f FILE KEY...
# Prints a value, the keys of a map, or the numbers of a list, which begin at 1. It knows the plain part of YAML: block
# maps and lists, plain and quoted values on one line, and literal blocks (|).

[ "$1" = -f ] || { echo "yx: only -f FILE is known here" >&2; exit 1; }
file=$2
shift 2
way=
for key; do
	way=$way/$key
done

awk -v way="$way" '
	function parent() { return depth ? path[depth] : "" }
	function enter(level, sort, name,    place) {
		place = parent() "/" name
		if (!(place in seen)) {
			seen[place] = 1
			children[parent()] = children[parent()] name "\n"
		}
		depth++
		indent[depth] = level; kind[depth] = sort; path[depth] = place
	}
	function plain(text) {
		if (text ~ /^".*"$/ || text ~ /^\047.*\047$/) return substr(text, 2, length(text) - 2)
		sub(/[ \t]+#.*$/, "", text)
		return text
	}
	{
		sub(/\r$/, "")
		match($0, /^ */)
		level = RLENGTH
		if (block != "") {
			if ($0 ~ /^ *$/ || level > block_level) {
				if (block_indent < 0) block_indent = level
				value[block] = value[block] substr($0, block_indent + 1) "\n"
				next
			}
			block = ""
		}
		text = substr($0, level + 1)
		if (text == "" || text ~ /^#/ || text ~ /^---/) next
		while (text ~ /^-( |$)/) {
			while (depth && (indent[depth] > level || (indent[depth] == level && kind[depth] == "item"))) depth--
			enter(level, "item", ++count[parent()])
			sub(/^- */, "", text)
			level += 2
		}
		if (text ~ /^[A-Za-z0-9_.-]+:( |$)/) {
			while (depth && indent[depth] >= level) depth--
			name = text
			sub(/:.*/, "", name)
			sub(/^[^:]*: */, "", text)
			enter(level, "key", name)
		}
		if (text ~ /^\|/) {
			block = path[depth]; block_level = indent[depth]; block_indent = -1
			value[block] = ""
		} else if (text != "") value[path[depth]] = plain(text)
	}
	END {
		if (way in value) {
			sub(/\n+$/, "", value[way])
			print value[way]
		} else if (way in children) printf "%s", children[way]
		else exit 1
	}
' "$file"
