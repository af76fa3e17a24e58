package org.lvtmobile.app

import android.Manifest
import android.view.Surface
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Size
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.util.concurrent.CountDownLatch

/** An app whose inferences wait until the test lets them go on. */
class HeldInferenceApplication : FakeApplication() {
    val runtime = FakeRuntime()

    override fun runtimes(): List<Runtime> = listOf(runtime)
}

/** What changes while an inference runs must not be covered by its result. */
@RunWith(RobolectricTestRunner::class)
@Config(application = HeldInferenceApplication::class)
class FrameInFlightTest {
    private val controller = Robolectric.buildActivity(MainActivity::class.java)
    private val activity get() = controller.get()
    private val runtime get() = (context as HeldInferenceApplication).runtime
    private val camera get() = fakeApplication.camera

    /** Begins an inference that does not end before [FakeRuntime.proceed]. */
    private fun hold() {
        shadowOf(fakeApplication).grantPermissions(Manifest.permission.CAMERA)
        for (name in listOf("first.onnx", "second.onnx")) push(goldenFile("stub.onnx"), name)
        controller.setup()
        await("camera") { camera.running != null }
        runtime.proceed = CountDownLatch(1)
        camera.deliver(scene("portrait").crop(40, 40, PORTRAIT))
        await("inference") { runtime.started.count == 0L }
    }

    /** An inference that is still held would keep its thread. */
    @After
    fun destroy() {
        runtime.proceed.countDown()
        controller.pause().stop().destroy()
    }

    @Test
    fun `the result of a replaced model does not appear`() {
        hold()
        activity.select(RunSettings(model = "second.onnx"))
        runtime.proceed.countDown()
        await("second model") { activity.state.models.singleOrNull()?.name == "second.onnx" } // after the inference
        assertEquals(emptyList<ModelResult>(), activity.state.results)
        assertNull(activity.findView<FrameView>().snapshot())
        camera.deliver(scene("portrait").crop(40, 40, PORTRAIT))
        await("its own result") { activity.state.results.isNotEmpty() }
    }

    /** The overlay of the upright picture would cover the one that lies on its side. */
    @Test
    @Suppress("DEPRECATION") // the display of a test
    fun `the result of a frame before a rotation does not appear`() {
        hold()
        shadowOf(activity.windowManager.defaultDisplay).setRotation(Surface.ROTATION_90)
        activity.onConfigurationChanged(activity.resources.configuration)
        camera.deliver(scene("landscape").crop(40, 40, LANDSCAPE))
        runtime.proceed.countDown()
        await("result") { activity.state.results.isNotEmpty() } // after the view has it
        val rect = checkNotNull(activity.findView<FrameView>().pictureRect())
        assertTrue("$rect", rect.width > rect.height)
    }

    /** A change of the font size recreates the activity. */
    @Test
    fun `the result reaches a recreated activity`() {
        hold()
        controller.recreate()
        runtime.proceed.countDown()
        await("result") { activity.state.results.isNotEmpty() }
        assertEquals("loaded once", 1, runtime.attempts)
    }

    private companion object {
        val PORTRAIT = Size(height = 320, width = 256)
        val LANDSCAPE = Size(height = 256, width = 320)
    }
}
