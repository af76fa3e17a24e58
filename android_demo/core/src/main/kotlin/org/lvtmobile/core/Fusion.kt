package org.lvtmobile.core

/** Instance number k of a thing has the id `label + INSTANCE_OFFSET * k` in a panoptic map. */
const val INSTANCE_OFFSET: Int = 1000

/** Added to a mask's pixels, so that a share equal to the limit passes in any float precision. */
private const val OVERLAP_EPSILON = 1e-5

/**
 * One thing or one stuff class of a panoptic map.
 *
 * @property id its value in the map: a stuff label, or label + 1000 k for the k-th instance.
 * @property label its class.
 * @property area its pixels in the map.
 * @property detection index of the instance among the detections; null for stuff.
 */
data class Segment(val id: Int, val label: Int, val area: Int, val detection: Int?)

/**
 * One segment a pixel.
 *
 * @property ids stuff labels, label + 1000 k for instances, or [void].
 * @property segments kept instances, best first, then stuff by label. Void is none of them.
 * @property void the id of pixels that belong to no segment.
 */
class PanopticMap(val ids: LabelMap, val segments: List<Segment>, val void: Int)

/**
 * Lays instances over semantic labels.
 *
 * 1. Start with label = semantic channel + things. The last channel, "some thing", becomes void.
 * 2. Take the instances in falling score. One without pixels, or with more than `maxOverlap` of its
 *    pixels taken by better ones, is dropped. The k-th that is kept writes label + 1000 k on its
 *    free pixels, over any stuff.
 * 3. Stuff that has fewer than `minStuffArea` pixels left becomes void.
 *
 * @param masks of each instance; they may overlap.
 * @param scores of each instance, in any order; equal scores keep it.
 * @param labels of each instance, 0 ... things-1.
 * @param semantic channel of the semantic head: stuff classes, then "some thing".
 */
fun fuse(
    masks: List<PastedMask>,
    scores: FloatArray,
    labels: IntArray,
    semantic: LabelMap,
    config: Manifest.PanopticInfo,
): PanopticMap {
    val things = config.things
    val void = things + config.stuff
    val ids = IntArray(semantic.values.size) { semantic.values[it] + things }
    val width = semantic.size.width
    val threshold = config.fusion.maskThreshold.toFloat()
    val segments = mutableListOf<Segment>()
    for (index in scores.indices.sortedByDescending { scores[it] }) {
        var own = 0
        var area = 0
        masks[index].forEachPixel(width, threshold) { pixel ->
            own++
            if (ids[pixel] < INSTANCE_OFFSET) area++
        }
        if (own == 0 || (own - area) / (own + OVERLAP_EPSILON) > config.fusion.maxOverlap) continue
        val id = labels[index] + INSTANCE_OFFSET * (segments.size + 1)
        masks[index].forEachPixel(width, threshold) { pixel ->
            if (ids[pixel] < INSTANCE_OFFSET) ids[pixel] = id
        }
        segments += Segment(id, labels[index], area, detection = index)
    }
    val areas = IntArray(void + 1)
    for (id in ids) if (id <= void) areas[id]++
    for (pixel in ids.indices) {
        if (ids[pixel] < void && areas[ids[pixel]] < config.fusion.minStuffArea) ids[pixel] = void
    }
    for (label in things until void) {
        if (areas[label] > 0 && areas[label] >= config.fusion.minStuffArea) {
            segments += Segment(label, label, areas[label], detection = null)
        }
    }
    return PanopticMap(LabelMap(semantic.size, ids), segments, void)
}
