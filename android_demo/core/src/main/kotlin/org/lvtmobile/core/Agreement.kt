package org.lvtmobile.core

/** Minimum overlap of two instances of one class to be the same object, as in the panoptic quality. */
private const val SAME_OBJECT_IOU = 0.5

/**
 * How far two predictions for one picture agree.
 *
 * @property share share of pixels with the same class; for classification, 1 if the first class is the same, else 0.
 * @property objects instances that both found: same class, and more than half of their union in common. Null if the
 *   predictions have no instances.
 * @property objectsOfFirst number of instances in the first prediction; null like [objects].
 * @property objectsOfSecond number of instances in the second prediction; null like [objects].
 */
data class Agreement(
    val share: Double,
    val objects: Int? = null,
    val objectsOfFirst: Int? = null,
    val objectsOfSecond: Int? = null,
)

/**
 * Compares two predictions for the same picture.
 *
 * @return null if they cannot be compared: other tasks, or other sizes of their maps.
 */
fun agreement(first: Prediction, second: Prediction): Agreement? = when {
    first is Prediction.Classes && second is Prediction.Classes ->
        Agreement(if (first.ranked.first().index == second.ranked.first().index) 1.0 else 0.0)
    first is Prediction.Semantic && second is Prediction.Semantic && first.labels.size == second.labels.size ->
        Agreement(equalShare(first.labels.values, second.labels.values) { it })
    first is Prediction.Panoptic && second is Prediction.Panoptic && first.map.ids.size == second.map.ids.size ->
        panopticAgreement(first.map, second.map)
    else -> null
}

private inline fun equalShare(first: IntArray, second: IntArray, label: (Int) -> Int): Double =
    first.indices.count { label(first[it]) == label(second[it]) } / first.size.toDouble()

private fun panopticAgreement(first: PanopticMap, second: PanopticMap): Agreement {
    val intersections = HashMap<Pair<Int, Int>, Int>()
    for (i in first.ids.values.indices) {
        val (a, b) = first.ids.values[i] to second.ids.values[i]
        if (a >= INSTANCE_OFFSET && a % INSTANCE_OFFSET == b % INSTANCE_OFFSET && b >= INSTANCE_OFFSET) {
            intersections.merge(a to b, 1, Int::plus)
        }
    }
    val areas = listOf(first, second).map { map -> map.segments.associate { it.id to it.area } }
    // More than half of the union in common: at most one partner for each instance.
    val objects = intersections.count { (pair, common) ->
        val union = areas[0].getValue(pair.first) + areas[1].getValue(pair.second) - common
        common > SAME_OBJECT_IOU * union
    }
    return Agreement(
        share = equalShare(first.ids.values, second.ids.values) { it % INSTANCE_OFFSET },
        objects = objects,
        objectsOfFirst = first.segments.count { it.detection != null },
        objectsOfSecond = second.segments.count { it.detection != null },
    )
}
