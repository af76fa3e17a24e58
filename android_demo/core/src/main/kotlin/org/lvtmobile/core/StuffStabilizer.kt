package org.lvtmobile.core

/** Smaller regions, as a share of the picture, must stay for some frames before they are shown. */
private const val SMALL_SHARE = 0.01

/** A region that is shown stays shown down to this share, so that it does not flicker around [SMALL_SHARE]. */
private const val SHOWN_SHARE = 0.005

/** Number of frames in a row after which a small region is shown. */
private const val FRAMES = 3

/**
 * Decides which classes of stuff to show, so that small regions do not flicker in a live view.
 *
 * Of each class, the area in the whole picture counts. For display only: predictions keep all their pixels.
 * Not thread-safe.
 */
class StuffStabilizer {
    private val runs = mutableMapOf<Int, Int>() // frames in a row, by class
    private var shown = emptySet<Int>()

    /** Forgets all frames. */
    fun clear() {
        runs.clear()
        shown = emptySet()
    }

    /**
     * Continues with the next frame.
     *
     * @param areas number of pixels of each class in this frame.
     * @param total number of pixels of the picture.
     * @return the classes to show.
     */
    fun update(areas: Map<Int, Int>, total: Int): Set<Int> {
        runs.keys.retainAll(areas.keys)
        for (label in areas.keys) runs.merge(label, 1, Int::plus)
        shown = areas.filter { (label, area) ->
            val share = area.toDouble() / total
            share >= SMALL_SHARE || (label in shown && share >= SHOWN_SHARE) || runs.getValue(label) >= FRAMES
        }.keys
        return shown
    }
}
