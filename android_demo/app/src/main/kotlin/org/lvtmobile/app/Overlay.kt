package org.lvtmobile.app

import org.lvtmobile.core.Answer
import org.lvtmobile.core.Labels
import org.lvtmobile.core.Size

private const val TINT = 0x70 shl 24
private const val INSTANCE_TINT = 0x90 shl 24
private const val OPAQUE = 0xff shl 24
private const val SHOWN_CLASSES = 3

/** Runs shorter than this share of the picture's width get no label: it would hide what it names. */
private const val LEAST_RUN = 0.03

/** Where a label belongs: a pixel of the picture inside its segment. */
data class Anchor(val text: String, val x: Int, val y: Int, val colour: Int, val area: Int)

/** What is laid over a picture. Its memory is used again for the next answer. */
class Overlay {
    /** Of the picture; null before the first answer and where an answer has no map. */
    var size: Size? = null
        private set

    /** (height, width) ARGB, not premultiplied; transparent where nothing was found. */
    var pixels: IntArray = IntArray(0)
        private set

    /** Largest segment first. */
    var anchors: List<Anchor> = emptyList()
        private set

    /** The best classes in words, for answers without a map. */
    var lines: List<String> = emptyList()
        private set

    /** Draws an answer; the one before it is gone. */
    fun paint(answer: Answer, labels: Labels) {
        when (answer) {
            is Answer.Classes -> {
                size = null
                anchors = emptyList()
                lines = answer.ranked.take(SHOWN_CLASSES).map {
                    "%s %.0f%%".format(labels.names[it.index], 100 * it.probability)
                }
            }
            is Answer.Semantic -> {
                val present = answer.labels.values.toSet()
                paint(answer.labels.size, answer.labels.values, present.associateWith { stuff(it, labels) })
            }
            is Answer.Panoptic -> paint(answer.map.ids.size, answer.map.ids.values, looks(answer, labels))
        }
    }

    private fun paint(size: Size, ids: IntArray, looks: Map<Int, Look>) {
        if (pixels.size != size.area) pixels = IntArray(size.area)
        this.size = size
        lines = emptyList()
        paintSegments(size, ids, looks, pixels)
        anchors = looks.values
            .filter { it.run >= LEAST_RUN * size.width }
            .sortedByDescending { it.area }
            .map { Anchor(it.text, it.x, it.y, it.colour, it.area) }
    }
}

private fun looks(answer: Answer.Panoptic, labels: Labels): Map<Int, Look> {
    val seen = mutableMapOf<Int, Int>() // instances so far, by class
    return answer.map.segments.associate { segment ->
        val detection = segment.detection
        segment.id to if (detection == null) {
            stuff(segment.label, labels)
        } else {
            val count = seen.merge(segment.label, 1, Int::plus) ?: 1
            val colour = shade(rgb(labels.colours[segment.label]), count - 1)
            val text = "%s %.0f%%".format(labels.names[segment.label], 100 * answer.scores[detection])
            Look(text, colour, INSTANCE_TINT, outlined = true)
        }
    }
}

private fun stuff(label: Int, labels: Labels) =
    Look(labels.names[label], rgb(labels.colours[label]), TINT, outlined = false)

private fun rgb(colour: List<Int>): Int = (colour[0] shl 16) or (colour[1] shl 8) or colour[2]

/** Every second instance of a class lighter, every third darker, so that neighbours differ. */
internal fun shade(rgb: Int, instance: Int): Int {
    fun channel(shift: Int): Int {
        val value = rgb shr shift and 0xff
        return when (instance % 3) {
            1 -> value + (255 - value) / 2
            2 -> value * 2 / 3
            else -> value
        } shl shift
    }
    return channel(16) or channel(8) or channel(0)
}

/**
 * How a segment looks, and where: while it is painted, its pixels are counted and its longest
 * horizontal run is kept, whose middle is a place for its label that is surely inside.
 *
 * @property colour RGB.
 * @property tint alpha of its inside, in the highest byte.
 */
internal class Look(val text: String, val colour: Int, val tint: Int, val outlined: Boolean) {
    var area = 0
        private set
    var run = 0
        private set
    var x = 0
        private set
    var y = 0
        private set

    fun sawRun(from: Int, until: Int, row: Int) {
        val length = until - from
        area += length
        if (length > run) {
            run = length
            x = (from + until) / 2
            y = row
        }
    }
}

/**
 * Tints every segment and outlines instances.
 *
 * @param ids one a pixel, row by row; those without a look stay transparent.
 * @param into of the same length, ARGB.
 */
internal fun paintSegments(size: Size, ids: IntArray, looks: Map<Int, Look>, into: IntArray) {
    val (height, width) = size
    for (y in 0 until height) {
        var x = 0
        while (x < width) {
            val start = x
            val id = ids[y * width + x]
            while (x < width && ids[y * width + x] == id) x++
            val look = looks[id]
            into.fill(if (look == null) 0 else look.tint or look.colour, y * width + start, y * width + x)
            if (look == null) continue
            look.sawRun(start, x, y)
            if (look.outlined) outline(size, ids, y, start until x, OPAQUE or look.colour, into)
        }
    }
}

/** Sets those pixels of a run that have another segment beside, above or below them. */
private fun outline(size: Size, ids: IntArray, y: Int, run: IntRange, colour: Int, into: IntArray) {
    val (height, width) = size
    val id = ids[y * width + run.first]
    for (x in run) {
        val i = y * width + x
        val edge = (x == run.first && x > 0) || (x == run.last && x < width - 1) ||
            (y > 0 && ids[i - width] != id) || (y < height - 1 && ids[i + width] != id)
        if (edge) into[i] = colour
    }
}
