package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test

class AgreementTest {
    private val size = Size(height = 1, width = 10)

    private fun panoptic(vararg ids: Int): Prediction {
        val segments = ids.distinct().map { id ->
            Segment(id, id % INSTANCE_OFFSET, ids.count { it == id }, if (id >= INSTANCE_OFFSET) 0 else null)
        }
        return Prediction.Panoptic(PanopticMap(LabelMap(size, ids), segments, void = 9), listOf(1f))
    }

    /** Instances are numbered by score, so equal objects may have other numbers. */
    @Test
    fun `numbers of instances do not count`() {
        val first = panoptic(1000, 1000, 1000, 5, 2000, 2000, 2000, 5, 5, 5)
        val second = panoptic(2000, 2000, 2000, 5, 1000, 1000, 1000, 5, 5, 5)
        assertEquals(Agreement(1.0, 2, 2, 2), agreement(first, second))
    }

    @Test
    fun `counts pixels by class and objects by overlap`() {
        val first = panoptic(1000, 1000, 1000, 1000, 5, 5, 2000, 2000, 2000, 2000)
        val second = panoptic(1000, 1000, 1000, 5, 5, 5, 5, 5, 2000, 2000)
        // Objects have 3 of 4 pixels and exactly 2 of 4 pixels in common.
        assertEquals(Agreement(0.7, 1, 2, 2), agreement(first, second))
    }

    @Test
    fun `another class at the same place is no agreement`() {
        val first = panoptic(1000, 1000, 1000, 1000, 1000, 5, 5, 5, 5, 5)
        val second = panoptic(1001, 1001, 1001, 1001, 1001, 6, 6, 6, 6, 6)
        assertEquals(Agreement(0.0, 0, 1, 1), agreement(first, second))
    }

    @Test
    fun `compares label maps and first classes`() {
        val map = Prediction.Semantic(LabelMap(size, IntArray(10)))
        assertEquals(Agreement(0.9), agreement(map, Prediction.Semantic(LabelMap(size, IntArray(10) { it / 9 }))))
        val (cat, dog) = ClassScore(0, 0.7) to ClassScore(1, 0.3)
        val classes = Prediction.Classes(listOf(cat, dog))
        assertEquals(Agreement(1.0), agreement(classes, classes))
        assertEquals(Agreement(0.0), agreement(classes, Prediction.Classes(listOf(dog, cat))))
        assertNull(agreement(map, classes))
    }
}
